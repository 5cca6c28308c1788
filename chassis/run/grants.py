"""Who may read and write what on Kafka, MongoDB and PostgreSQL: derived from the declarations.

One principal a service and role, for example `orders-relay`.  A process that hosts several runs as a principal of its
own that has what they have.  `salestream grants` prints the table, `grants --apply` makes Kafka's ACLs of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kafka.admin import ACL, ACLOperation, ACLPermissionType, KafkaAdminClient, ResourcePattern, ResourceType

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.foundation.connections import kafka_arguments
from chassis.messaging.kafka import command_topics, dead_letter_topic
from chassis.projections.collections import SKIPPED, STATES
from chassis.projections.rebuild_requests import REBUILDS
from contracts.declare import REGISTRY

OPERATOR = "operator"
"""The person who makes topics and looks after dead letters (`salestream topics`, `dlq`, `verify`)."""


@dataclass(frozen=True)
class KafkaGrant:
    """What one principal may do: topics to read and to write, MongoDB collections to write, the schema it owns."""

    principal: str
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()
    reads_views: bool = False
    schema: str = ""


def grants(catalogue: Catalogue) -> list[KafkaGrant]:
    """The grants of an installation, in the order of services.toml."""
    services = {service.name: service for service in catalogue.services()}
    sagas = dict(catalogue.sagas())
    topics: Iterable[str]
    found: list[KafkaGrant] = []
    for name, roles in catalogue.roles.items():
        for role in roles:
            principal = f"{name}-{role}"
            match role:
                case "api":
                    topics = services[name].consumed_topics()
                    found.append(_consumer(principal, name, topics, schema=name, reads_views=True))
                case "relay":
                    sent = command_topics() if name in sagas else []
                    events = {spec.topic for spec in REGISTRY.events.values() if spec.service == name}
                    collected = {catalogue.audit_view().name, STATES} if name in services else set[str]()
                    found.append(
                        KafkaGrant(
                            principal, frozenset(events), frozenset({*events, *sent}), frozenset(collected), schema=name
                        )
                    )
                case "projector":
                    views = [view for view in catalogue.views("projector")]
                    topics = {topic for view in views for topic in view.topics}
                    found.append(
                        _consumer(
                            principal,
                            name,
                            topics,
                            collections=frozenset({STATES, SKIPPED, REBUILDS, *(v.name for v in views)}),
                        )
                    )
                case "saga":
                    saga = sagas[name]
                    topics = {REGISTRY.event_of(fact).topic for fact in saga.facts()}
                    found.append(_consumer(principal, saga.group, topics, schema=name))
                case "queries":
                    found.append(KafkaGrant(principal, collections=frozenset({REBUILDS}), reads_views=True))
    letters = frozenset(dead_letter_topic(group) for group in catalogue.groups())
    events = {spec.topic for spec in REGISTRY.events.values()}
    found.append(KafkaGrant(OPERATOR, frozenset({*events, *command_topics(), *letters}), letters, reads_views=True))
    return found


def _consumer(
    principal: str,
    group: str,
    topics: Iterable[str],
    *,
    collections: frozenset[str] = frozenset(),
    schema: str = "",
    reads_views: bool = False,
) -> KafkaGrant:
    """A principal that reads topics and sets aside what cannot be processed."""
    letters = dead_letter_topic(group)
    return KafkaGrant(principal, frozenset({*topics, letters}), frozenset({letters}), collections, reads_views, schema)


def table(found: Iterable[KafkaGrant]) -> str:
    """The grants as Markdown, for docs/operations.md."""
    lines = [
        "| Principal | Kafka: reads | Kafka: writes | MongoDB | PostgreSQL schema |",
        "|---|---|---|---|---|",
    ]
    for grant in found:
        if {*grant.collections} > {STATES, "audit"}:
            stored = "writes all views"
        elif grant.collections:
            stored = f"{'reads, ' if grant.reads_views else ''}writes {_listed(grant.collections)}"
        else:
            stored = "reads" if grant.reads_views else ""
        schema = f"`{grant.schema}`" if grant.schema else ""
        lines.append(
            f"| `{grant.principal}` | {_listed(grant.reads)} | {_listed(grant.writes)} | {stored} | {schema} |"
        )
    return "\n".join(lines) + "\n"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def access_rules(found: Iterable[KafkaGrant]) -> list[ACL]:
    """Kafka's ACLs of these grants.  Everybody may see which topics there are: who starts looks whether his exist."""
    rules = []
    for grant in found:
        allowed = [
            (ACLOperation.DESCRIBE, ["*"]),
            (ACLOperation.READ, sorted(grant.reads)),
            (ACLOperation.WRITE, sorted(grant.writes)),
        ]
        for operation, topics in allowed if grant.reads or grant.writes else []:
            for topic in topics:
                resource = ResourcePattern(ResourceType.TOPIC, topic)
                rules.append(ACL(f"User:{grant.principal}", "*", operation, ACLPermissionType.ALLOW, resource))
    return rules


def apply(config: Config, found: Iterable[KafkaGrant]) -> int:
    """Make the ACLs at Kafka, as its administrator; returns how many.  Those that exist stay.  Raises KafkaError."""
    rules = access_rules(found)
    admin = KafkaAdminClient(**kafka_arguments(config))
    try:
        for error in admin.create_acls(rules)["failed"]:
            raise error
    finally:
        admin.close()
    return len(rules)
