"""Read customers from the event topics, in full: what tells of a person is sealed, and this asks for the keys.

    KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:29092 SALESTREAM=http://127.0.0.1:8000 TOKEN=... python read_persons.py

TOKEN is that of a machine account with the right `persons.keys`.  Needs kafka-python, cryptography and httpx.
"""

import base64
import json
import os

import httpx
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from kafka import KafkaConsumer

SEALED = "sealed:1:"
CREATED, EDITED = (f"salestream.customers.customer-{what}.v1" for what in ("created", "edited"))


def octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Keys:
    """Keys in memory.  A program that runs on empties it once a day, and so learns who was erased."""

    def __init__(self, address: str, token: str) -> None:
        self._http = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"})
        self._keys: dict[str, AESGCM | None] = {}

    def of(self, person: str) -> AESGCM | None:
        """The key of a person; None when they were erased."""
        if person not in self._keys:
            answer = self._http.get(f"/persons/{person}/key").raise_for_status().json()
            self._keys[person] = answer["key"] and AESGCM(octets(answer["key"]))
        return self._keys[person]

    def opened(self, person: str, name: str, text: str) -> str:
        """The text of a field.  The name of the field belongs to what was sealed: texts can't change places."""
        if not text.startswith(SEALED):
            return text  # empty, or of an event from before texts were sealed
        key, sealed = self.of(person), octets(text.removeprefix(SEALED))
        return "(erased)" if key is None else key.decrypt(sealed[:12], sealed[12:], name.encode()).decode()


def main() -> None:
    keys = Keys(os.environ["SALESTREAM"], os.environ["TOKEN"])
    consumer = KafkaConsumer(
        "customers.events",
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=5_000,  # a program that runs on leaves this out
    )
    for record in consumer:
        kind = dict(record.headers)["ce_type"].decode()
        if kind in (CREATED, EDITED):
            event = json.loads(record.value)
            person = event["customer_id"]
            print(person, *(keys.opened(person, name, event["data"][name]) for name in ("name", "mobile")), sep="\t")


main()
