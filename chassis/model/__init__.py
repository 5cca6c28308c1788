"""What a service declares itself with: aggregates, commands and replicas, sagas, read models, checks.  No I/O."""
