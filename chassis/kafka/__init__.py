"""The Kafka client: one port, and an adapter each for kafka-python and librdkafka (ADR 0029)."""
