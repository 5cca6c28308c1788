"""asyncapi.yaml: every topic with its messages (AsyncAPI 3.0, Kafka binding 0.5.0)."""

from collections.abc import Mapping, Sequence
from typing import Any

from chassis.documents.json_schema import JsonSchema, components, docstring
from chassis.documents.openapi import API_VERSION, first_sentence, ref
from chassis.foundation.config import Config
from chassis.http.messages import JSON
from chassis.messaging.kafka import COMMANDS_RETENTION, RETAIN_FOR_EVER
from contracts.declare import CommandSpec, EventSpec, Registry

CLOUD_EVENT: dict[str, Any] = {
    "contentType": JSON,
    "correlationId": {"location": "$message.header#/ce_correlationid"},
    "headers": {
        "type": "object",
        "description": "CloudEvents 1.0, binary mode: every header is a text.  Commands have no subject and sequence.",
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": {
                "type": "string",
                "description": "{aggregate_id}/{version}, the same when published again; of a command, its id.",
                "examples": ["0c1f6a3e-2f0b-5c5e-9d3a-6f3f4f1c2b7d/3"],
            },
            "ce_source": {"type": "string", "pattern": "^/salestream/[a-z]+$"},
            "ce_type": {"type": "string", "description": "The message's name."},
            "ce_time": {"type": "string", "format": "date-time"},
            "ce_subject": {"type": "string", "description": "The id of the record."},
            "ce_sequence": {
                "type": "string",
                "pattern": "^[0-9]{20}$",
                "description": "The record's version, padded with zeros so that texts compare like numbers.",
            },
            "ce_position": {
                "type": "string",
                "pattern": "^[0-9]+$",
                "description": "The position in the sending service's log; it never falls, except for repeats.",
            },
            "ce_correlationid": {"type": "string", "description": "The same for all that one request led to."},
            "ce_causationid": {"type": "string", "description": "The id of the command or event that caused this."},
            "ce_authid": {"type": "string", "description": "The user who asked; absent when no user did."},
            "ce_traceparent": {"type": "string", "description": "W3C trace context."},
            "ce_day": {
                "type": "string",
                "format": "date",
                "description": "The day of ce_time in the zone the company had set; absent in older events.",
            },
        },
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_position"],
    },
}


def asyncapi(registry: Registry) -> dict[str, Any]:
    """The AsyncAPI 3.0 document: the events every service publishes and the commands services send each other."""
    events = list(registry.events.values())
    commands = [spec for spec in registry.commands.values() if not spec.is_public]
    messages: list[EventSpec | CommandSpec] = [*events, *commands]
    by_topic: dict[str, list[EventSpec | CommandSpec]] = {}
    for spec in sorted(messages, key=lambda message: (message.topic, message.name)):
        by_topic.setdefault(spec.topic, []).append(spec)
    schemas = {
        **components([spec.cls for spec in events], "output"),
        **components([spec.cls for spec in commands], "message"),
    }
    return {
        "asyncapi": "3.0.0",
        "id": "urn:salestream",
        "info": {
            "title": "Salestream",
            "version": API_VERSION,
            "description": "Events are kept for ever, in order per key.  Read tolerantly: drop fields you don't know, "
            "and skip what you have already seen (ce_id).",
        },
        "defaultContentType": JSON,
        "channels": {topic: _channel(topic, specs) for topic, specs in by_topic.items()},
        "operations": {_operation_name(topic): _topic_operation(topic) for topic in by_topic},
        "components": {
            "messages": {spec.cls.__name__: _message(spec, schemas) for specs in by_topic.values() for spec in specs},
            "messageTraits": {"cloudEvent": CLOUD_EVENT},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _channel(topic: str, specs: Sequence[EventSpec | CommandSpec]) -> dict[str, Any]:
    service, _, kind = topic.partition(".")
    config = Config()
    settings = RETAIN_FOR_EVER if kind == "events" else COMMANDS_RETENTION
    return {
        "address": topic,
        "description": f"{'What happened in' if kind == 'events' else 'What other services ask of'} {service}.",
        "messages": {spec.cls.__name__: ref(spec.cls.__name__, "messages") for spec in specs},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": config.topic_partitions,
                "replicas": config.topic_replicas,
                "topicConfiguration": {
                    "cleanup.policy": settings["cleanup.policy"].split(","),
                    "retention.ms": int(settings["retention.ms"]),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation_name(topic: str) -> str:
    service, _, kind = topic.partition(".")
    return f"{service}-sends-events" if kind == "events" else f"{service}-receives-commands"


def _topic_operation(topic: str) -> dict[str, Any]:
    service, _, kind = topic.partition(".")
    return {
        "action": "send" if kind == "events" else "receive",
        "channel": {"$ref": f"#/channels/{topic}"},
        "tags": [{"name": service}],
    }


def _message(spec: EventSpec | CommandSpec, schemas: Mapping[str, JsonSchema]) -> dict[str, Any]:
    name = spec.cls.__name__
    return {
        "name": spec.name,
        "title": name,
        "summary": first_sentence(docstring(spec.cls)),
        "payload": ref(name),
        "bindings": {"kafka": {"key": schemas[name]["properties"][spec.key], "bindingVersion": "0.5.0"}},
        "traits": [ref("cloudEvent", "messageTraits")],
    }
