"""What a company makes of Salestream."""
