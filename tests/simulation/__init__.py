"""A deterministic simulation: all services in one process, every fault and every interleaving drawn from a seed."""
