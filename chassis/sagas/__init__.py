"""Running sagas: each on an event store of its own, with time limits and the commands it sends."""
