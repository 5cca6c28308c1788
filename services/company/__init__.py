"""The company service: the company's own data and parameters (features SET-01..05, ORD-12)."""
