"""The test kit: whole services and sagas in memory, without Kafka, HTTP or a clock."""
