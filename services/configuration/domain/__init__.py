"""What may be configured, and what may not."""
