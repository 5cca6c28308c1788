"""The load model says what was measured, and docs/scaling.md says what the model does."""

import pytest

from deploy.devstack.server import REPOSITORY_ROOT

from .model import FIVE, TWO, Deployment, Part, bench_machine, of_report, on_three_nodes, scenarios, together

# Whole runs of `make bench` on two cores (docs/performance.md): what an order cost by part, and the peak measured.
# Of one the document tells only the sum and mongod's part; the rest is no interpreter's here, so the cores decide.
RUNS = {
    "2026-11-23": ({"api": 2.20, "worker": 3.08, "kafka": 0.53, "mongo": 0.96}, 259),
    "2026-11-27, before ADR 0030": ({"mongo": 3.25, "all others": 8.05}, 158),
    "2026-11-27": ({"api": 2.3, "worker": 3.1, "kafka": 1.2, "mongo": 2.1}, 213),
}


@pytest.mark.parametrize("run", RUNS)
def test_the_peak_that_was_measured_is_predicted_within_a_fifth(run: str) -> None:
    cpu_ms, measured = RUNS[run]
    peak = bench_machine(cpu_ms, 2).peak()
    assert peak.name == "cores of node"
    assert peak.per_s == pytest.approx(measured, rel=0.2)


def test_on_many_cores_the_interpreter_with_most_work_is_full_first() -> None:
    peak = together(TWO, 64).peak()
    assert (peak.name, round(peak.per_s)) == ("worker", round(1000 / TWO["worker"]))
    assert together(FIVE, 64).peak().name == "projector"


def test_what_native_threads_do_does_not_fill_an_interpreter_but_cores() -> None:
    part = Part("worker", full_ms=4.0, interpreters=1, serial=0.5)
    assert [limit.per_s for limit in Deployment([part], {"node": 1}).limits()] == [250.0, 500.0]


def test_two_processes_carry_twice_as_much_as_one() -> None:
    assert Part("worker", 4.0, interpreters=2).peak_per_s == 2 * Part("worker", 4.0, interpreters=1).peak_per_s


@pytest.mark.parametrize(("rate", "least", "most"), [(3.3, 120, 150), (50, 27, 33), (100, 18, 21), (2_000, 8.7, 9.5)])
def test_an_order_costs_less_the_more_come_along(rate: float, least: float, most: float) -> None:
    """Measured: 120 to 150 ms alone, 30 at 50/s, 18 to 20 at 100/s, 9 in a full batch."""
    machine = bench_machine(RUNS["2026-11-27"][0], 2)
    assert least <= sum(part.ms(rate) for part in machine.parts) <= most


def test_the_cores_are_busy_long_before_the_peak() -> None:
    """Measured: 100 orders/s fill both cores, and 213 are carried."""
    machine = bench_machine(RUNS["2026-11-27"][0], 2)
    assert machine.cores_full_from() == pytest.approx(100, rel=0.1)
    assert machine.peak().per_s > 2 * machine.cores_full_from()


def test_utilisation_is_of_one_core_for_an_interpreter_and_of_all_cores_for_a_node() -> None:
    parts = [Part("api", 4.0, interpreters=1), Part("mongo", 6.0)]
    found = Deployment(parts, {"node": 4}).utilisation(100)
    assert found == pytest.approx({"api": 0.4, "cores of node": 0.25})


def test_three_nodes_pay_for_three_copies() -> None:
    three = on_three_nodes(FIVE, 8)
    whole = sum(part.full_ms for part in three.parts)
    assert whole == pytest.approx(sum(FIVE.values()) + 2 * (FIVE["kafka"] + FIVE["mongo"]))
    assert {part.node for part in three.parts if part.name == "mongo"} == {"node 1", "node 2", "node 3"}


def test_a_report_of_the_bench_is_read() -> None:
    written = {f"cpu_ms_per_order_{name}": ms for name, ms in RUNS["2026-11-27"][0].items()} | {"cores": 2}
    assert of_report(written).peak().per_s == pytest.approx(2000 / 8.7)
    assert of_report({**written, "cpu_ms_per_order_client_not_counted": 1.3}).peak().per_s == pytest.approx(200)


@pytest.mark.parametrize("row", [scenario.row() for scenario in scenarios()])
def test_the_document_has_the_figures_of_the_model(row: str) -> None:
    assert row in (REPOSITORY_ROOT / "docs" / "scaling.md").read_text(), f"docs/scaling.md lacks: {row}"
