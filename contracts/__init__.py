"""What Salestream says across service boundaries: commands, events, rights and errors, declared once.

Read first: `declare.py` (the three decorators), then a service's module (`orders.py`).  Everything that can be
derived from a declaration - schemas, documents, topics, routes - is derived, never written a second time.
"""
