"""`salestream verify`: recompute everything from the event stores and compare it with what the system shows.

The stores are read once, from event one, and nothing of them is held but what belongs to a stream: see `run`.
What the figures of a service mean stands in its `verification.py` (`declare`); all else follows from the contracts.
"""
