"""How Salestream runs: the only place that knows nameko, Kafka, PostgreSQL, SQLite, MongoDB and HTTP.

It knows no business word.  README.md lists the modules in reading order.
"""
