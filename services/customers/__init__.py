"""The customers service: customers as far as an order needs them (features CUS-01..03, CUS-21)."""
