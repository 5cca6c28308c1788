"""`make demo`: real purchases as orders through the whole system, and their figures checked against the file."""
