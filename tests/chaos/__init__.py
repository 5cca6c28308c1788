"""Faults on real processes: `make chaos`, or `make chaos FAULT=9` for one of them."""
