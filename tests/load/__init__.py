"""The load benchmark: `make bench`, or `python -m tests.load.bench [--quick]`."""
