"""Shipments and the order saga: from submission to the customer (features 2.9)."""
