"""Approval cases: who has to approve an order, who did (features 2.8)."""
