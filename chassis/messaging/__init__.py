"""Kafka: records out (relay) and in (consumers), how far each is, dead letters, consistency tokens."""
