"""The benchmark runs and writes every figure; what the figures are is nobody's business here."""

import json
import subprocess
import sys
from pathlib import Path

from deploy.devstack.server import REPOSITORY_ROOT

from . import lists

FIGURES = (
    "appends_naive_per_s",
    "appends_single_per_s",
    "appends_64_callers_per_s",
    "appends_64_greenlets_per_s",
    "appends_bulk_per_s",
    "appends_single_postgres_per_s",
    "appends_64_callers_postgres_per_s",
    "appends_bulk_postgres_per_s",
    "separate_products_deductions_per_s",
    "hot_product_deductions_per_s",
    "crowd_of_200_claim_ms_p99",
    "appends_64_callers_slow_disk_per_s",
    "appends_bulk_full_store_per_s",
    "floor_postgres_inserts_10_clients_per_s",
    *(
        f"floor_{client}_{what}"
        for client in ("confluent", "kafka_python")
        for what in ("records_per_s", "lone_p99_ms")
    ),
    "floor_mongo_upserts_per_s",
    *(f"list_{asked.key}_ms_p95" for asked in lists.QUESTIONS),
    *(f"{key}_ms_p95" for key in lists.TIMELINE),
    "conversions_per_s",
    "http_naive_create_per_s",
    "http_create_per_s",
    "http_empty_post_per_s",
    "http_submit_per_s",
    "journeys_per_s",
    "journeys_predicted_per_s",
    "journeys_predicted_off_percent",
    "cpu_ms_per_order",
    "cpu_ms_per_order_api",
    "cpu_ms_per_order_worker",
    "cpu_ms_per_order_kafka",
    "cpu_ms_per_order_mongo",
    "answered_ms_p50",
    "visible_ms_p50",
    "visible_ms_p99",
    "visible_ms_p99_at_100_percent",
    "overload_accepted_per_s",
    "overload_view_lag_s_max",
    "gateway_token_us",
    "gateway_cookie_us",
    "consume_events_per_s",
    "rebuild_events_per_s",
    "rebuild_one_process_events_per_s",
    "api_rss_mb",
    "worker_rss_mb",
)
CIRCUMSTANCES = ("commit", "python", "seed", "repetitions", "fsync_us", "event_bytes", "checked_events")


def test_a_quick_run_writes_every_figure(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.bench", "--quick", "--folder", str(tmp_path / "bench"), "--out", str(out)],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    written = json.loads(out.read_text())
    assert [name for name in FIGURES if not written.get(name, 0) > 0] == []
    assert [name for name in CIRCUMSTANCES if name not in written] == []
    assert not (tmp_path / "bench").exists(), "servers and stores were not cleared away"
