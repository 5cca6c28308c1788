"""What people do around a record."""
