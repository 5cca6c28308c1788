"""The way of a command from what its caller sent to what the caller is told (check, prepare, run, tell)."""
