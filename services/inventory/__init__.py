"""The inventory service: the product catalogue, its prices and the stock (features INV-01..13)."""
