"""Sales orders from draft to completion, their payments, and the sales-process settings (features 2.7, APR-15)."""
