"""Reports: the read models.  No aggregates; one module in views/ for each question."""
