"""The rules of telling people: notices, the ways they are sent besides, and what was sent."""
