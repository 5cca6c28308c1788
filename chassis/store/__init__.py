"""The event store of a service: what is stored together, and where (SQLite, PostgreSQL, memory)."""
