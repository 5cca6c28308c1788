"""The adapter for kafka-python: pure Python, so it waits without holding up eventlet's thread."""

from threading import Lock
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from chassis.foundation.config import Config
from chassis.foundation.connections import kafka_arguments
from chassis.foundation.limits import MAX_MESSAGE_BYTES
from chassis.kafka.port import Acknowledgement, Headers, Reader


class PythonProducer:
    """`chassis.kafka.port.Producer` by kafka-python."""

    def __init__(self, config: Config, *, gapless: bool) -> None:
        self.refusal: KafkaError | None = None
        self._config = config
        self._gapless = gapless
        self._lock = Lock()
        self._is_spent = False
        self._client = self._connected()

    def _connected(self) -> KafkaProducer:
        return KafkaProducer(
            **kafka_arguments(self._config),
            acks="all",
            enable_idempotence=True,
            delivery_timeout_ms=float("inf"),
            linger_ms=5,  # fewer requests: at low rates they took half of the worker's time
            batch_size=131_072,
            compression_type="lz4",
            max_request_size=MAX_MESSAGE_BYTES,
            max_block_ms=10_000,  # so long a send waits for a topic that is not there
            allow_auto_create_topics=False,
            metrics_enabled=False,
            reconnect_backoff_max_ms=1_000,
        )

    def send(
        self, topic: str, value: bytes, key: bytes, headers: Headers = (), partition: int | None = None
    ) -> Acknowledgement:
        with self._lock:
            if self._is_spent:  # the library refuses all that follows a record that the brokers refused
                self._client.close(0)
                self._client, self._is_spent = self._connected(), False
        future = self._client.send(topic, value=value, key=key, headers=list(headers), partition=partition)
        future.add_errback(self._end_with if self._gapless else self._spend)
        sent: Acknowledgement = future
        return sent

    def _end_with(self, error: KafkaError) -> None:
        """In the library's thread, before it sends anything more: none may come before the refused one."""
        self._send_no_more()
        self.refusal = self.refusal or error

    def _spend(self, error: KafkaError) -> None:
        self._is_spent = True

    def _send_no_more(self) -> None:
        self._client._sender.force_close()

    def flush(self, timeout: float | None = None) -> None:
        self._client.flush(timeout)

    def abandon(self) -> None:
        """Closing it would first try to send all, and give up with an error and the thread still at work."""
        self._send_no_more()
        self._client._sender.join()
        self._client.close()

    def close(self, timeout: float | None = None) -> None:
        self._client.close(timeout)


def python_reader(config: Config, client_id: str) -> Reader:
    """`chassis.kafka.port.Reader` by kafka-python, whose consumer the port is cut after."""
    client: Any = KafkaConsumer(
        **kafka_arguments(config),
        client_id=client_id,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="none",
        allow_auto_create_topics=False,
        metrics_enabled=False,
        reconnect_backoff_max_ms=1_000,
        max_poll_records=1_000,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        fetch_max_wait_ms=2_000,  # of a fetch that finds nothing
    )
    reader: Reader = client
    return reader
