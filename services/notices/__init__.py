"""Telling people: what one is told, and that one has read it (NTF-01..08)."""
