"""The gateway: the one way in (PLT-01)."""
