"""The single writer of a service: requests, the unit of work of a command, and the group commit."""
