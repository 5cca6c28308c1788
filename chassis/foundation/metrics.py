"""Prometheus metrics of every piece of the chassis, declared in one place."""

from functools import cache
from typing import TypeVar

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

M = TypeVar("M", bound=MetricWrapperBase)

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_LATE = (0.01, 0.05, 0.1, 0.5, 1, 5, 60, 3_600, 86_400)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

HTTP_SECONDS = Histogram("salestream_http_seconds", "HTTP requests", ["route", "status"], buckets=_FAST)
GATEWAY_REFUSED = Counter("salestream_gateway_refused_total", "Requests the gateway refused by itself", ["code"])
COMMANDS = Counter(
    "salestream_commands_total", "Commands by outcome (ok or error code)", ["service", "command", "outcome"]
)
BATCH = Histogram("salestream_append_batch_commands", "Commands in one commit", ["service"], buckets=_SIZES)
COMMIT_SECONDS = Histogram("salestream_commit_seconds", "One commit of the event store", ["service"], buckets=_FAST)
CONFLICTS = Counter(
    "salestream_append_conflicts_total", "Commits refused because another writer was first", ["service"]
)
OVERLOADED = Gauge("salestream_overloaded", "1 while commands are refused because a consumer is behind")
TURNED_AWAY = Counter("salestream_http_turned_away_total", "Commands refused as OVERLOADED before they were read")
QUEUE = Gauge("salestream_writer_queue", "Commands waiting for the writer", ["service"])
OUTBOX_LAG = Gauge("salestream_outbox_lag_events", "Stored events not yet on Kafka", ["service"])
RELAY_STANDS = Gauge(
    "salestream_relay_stands",
    "1 while a relay publishes nothing: its topic lacks what it held, or refuses a record",
    ["service"],
)
PUBLISHED = Counter("salestream_published_total", "Records put onto Kafka", ["service"])
CONSUMED = Counter("salestream_consumed_total", "Records taken from Kafka", ["group"])
DUPLICATES = Counter("salestream_duplicate_events_total", "Records seen before and skipped", ["group"])
CONSUMER_LAG = Gauge("salestream_consumer_lag_records", "Records on Kafka not yet consumed", ["group"])
CONSUMER_STANDS = Gauge("salestream_consumer_stands", "1 while a consumer's step fails and is tried again", ["group"])
FRESHNESS = Gauge("salestream_projection_freshness_seconds", "Age of the newest event a view has applied", ["view"])
SAGA_AGE = Histogram(
    "salestream_saga_step_seconds", "Time from an event to the saga's reaction", ["saga"], buckets=_FAST
)
SAGA_ATTENTION = Counter("salestream_saga_needs_attention_total", "Sagas that gave up waiting for a step", ["saga"])
DELIVERIES = Counter(
    "salestream_deliveries_total", "Tries to send something, by outcome (sent or failed)", ["way", "outcome"]
)
SCHEDULE_RUNS = Counter(
    "salestream_schedule_runs_total", "Runs of a schedule by outcome (ok or failed)", ["schedule", "outcome"]
)
SCHEDULE_LATE = Histogram(
    "salestream_schedule_late_seconds", "How long after it was due a run was done", ["schedule"], buckets=_LATE
)
SCHEDULE_NEXT = Gauge(
    "salestream_schedule_next_run_timestamp_seconds",
    "When a schedule is due; long ago: it is late or fails; 0: it is switched off",
    ["schedule"],
)
MOMENTS = Counter(
    "salestream_moments_total", "Moments of records by outcome (ok, failed or unreadable)", ["rows", "outcome"]
)
MOMENTS_FAILING = Gauge(
    "salestream_moments_failing", "Moments of records that failed when they were tried last", ["rows"]
)
AUDIT_DROPPED = Counter(
    "salestream_audit_dropped_total", "Audit entries of refusals and reads that were given up in a flood", ["service"]
)
AUDIT_LAG = Gauge("salestream_audit_lag_records", "Audit records not yet in the query store", ["service"])
LOG_LINES_LOST = Counter(
    "salestream_log_lines_lost_total", "Log lines that could not be written: the disk is full, or nobody reads"
)
DLQ = Counter("salestream_dlq_total", "Records put onto a dead-letter topic", ["group"])


@cache
def of(metric: M, *labels: str) -> M:
    """The metric with these label values.  Remembered: the client library's look-up costs more than counting."""
    return metric.labels(*labels)
