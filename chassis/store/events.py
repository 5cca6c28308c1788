"""An event as it is stored: `{"data": <contract JSON>, "meta": {...}}`, packed, under its contract type."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder

from chassis.foundation.compression import packed, unpacked
from chassis.foundation.limits import MAX_EVENT_BYTES
from chassis.model.aggregates import INTERNAL_EVENTS, internal_name
from contracts.declare import REGISTRY, ContractError
from contracts.errors import Portable, Refused
from contracts.personal import Destroyed, OfAnother
from contracts.schemas import decode, decoder_of, encode


class Unreadable(Portable):
    """A stored event is damaged: its row was changed by hand, or by a disk."""

    def __init__(self, aggregate_id: UUID, version: int, cause: Exception) -> None:
        super().__init__(f"event {version} of {aggregate_id} can't be read: {cause}")
        self.aggregate_id = aggregate_id
        self.version = version


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of every event besides its data: who, when, by which command, in which conversation.

    `day` is the day of `at` for the company, in the zone that was set then; older events have none.
    """

    at: datetime
    command_id: str
    correlation_id: str
    causation_id: str = ""
    user_id: str = ""
    user: str = ""
    traceparent: str = ""
    day: date | None = None


class _State(msgspec.Struct):
    data: msgspec.Raw
    meta: msgspec.Raw
    key: str = ""


_state_decoder = decoder_of(_State)
_meta_decoder = decoder_of(Metadata)


@dataclass(frozen=True)
class Recorded:
    """A fact at its place in its stream, encoded: its stored type, Kafka key ("" for an internal one) and JSON."""

    originator_id: UUID
    originator_version: int
    type: str
    key: str
    data: bytes
    meta: bytes


def recorded(aggregate_id: UUID, version: int, fact: Any, meta: bytes, longest: int = MAX_EVENT_BYTES) -> Recorded:
    """Encode a fact for the store.

    Raises Refused TOO_LARGE for one longer than `longest` (`chassis.foundation.limits`), and INVALID_STATE for what
    tells of a person who was erased, and DUPLICATE for what tells of one whose id is that of another sort of record.
    """
    name, key, field = internal_name(type(fact)), "", ""
    if name is None:
        spec = REGISTRY.event_of(type(fact))
        name, key, field = spec.name, str(getattr(fact, spec.key)), spec.key
    try:
        data = encode(fact, aggregate_id)
    except Destroyed as error:
        raise Refused("records.person_erased", state="ERASED") from error
    except OfAnother as error:
        raise Refused("records.id_of_another_kind", field=field) from error
    if len(data) > longest:
        raise Refused("records.too_large", size=len(data), most=longest)
    return Recorded(aggregate_id, version, name, key, data, meta)


@dataclass(frozen=True)
class Notification:
    """An event as the relay sees it: its position in the service's log and its JSON, not decoded."""

    position: int
    aggregate_id: UUID
    version: int
    type: str
    key: str
    data: bytes
    meta: Metadata


class ContractMapper(Mapper[UUID]):
    """Stores facts under their contract type (or internal name), never under a Python path."""

    def __init__(self) -> None:
        super().__init__(_NoTranscoder())

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        event: Recorded = domain_event
        key = b'"key":"' + event.key.encode() + b'",' if event.key else b""
        state = b"{" + key + b'"data":' + event.data + b',"meta":' + event.meta + b"}"
        return StoredEvent(event.originator_id, event.originator_version, event.type, packed(state))

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        data = _state(stored_event.state).data
        return decode(fact_class(stored_event.topic), data, cast(UUID, stored_event.originator_id))


class _NoTranscoder(Transcoder):
    """The mapper encodes contracts itself; nothing may reach the library's transcoder."""

    def encode(self, obj: Any) -> bytes:
        raise ContractError(f"{type(obj).__name__} is not a fact")

    def decode(self, data: bytes) -> Any:
        raise ContractError("stored state is read by ContractMapper only")


def _state(stored: bytes) -> _State:
    """Raises msgspec.DecodeError, Damaged."""
    return _state_decoder.decode(unpacked(stored))


def metadata_of(stored: bytes) -> Metadata:
    """The metadata of an event, from its stored bytes.  Raises msgspec.DecodeError, Damaged."""
    return _meta_decoder.decode(_state(stored).meta)


def fact_class(name: str) -> type:
    """The class of a stored type."""
    if name in REGISTRY.events:
        return REGISTRY.events[name].cls
    try:
        return INTERNAL_EVENTS[name]
    except KeyError:
        raise ContractError(f"stored event type {name} is unknown to this version of the code") from None


def notification_of(stored: Any) -> Notification:
    state = _state(stored.state)
    return Notification(
        position=stored.id,
        aggregate_id=stored.originator_id,
        version=stored.originator_version,
        type=stored.topic,
        key=state.key,
        data=bytes(state.data),
        meta=_meta_decoder.decode(state.meta),
    )
