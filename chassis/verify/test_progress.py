"""Who waits for a verification sees how far it is."""

import io
from itertools import count

from chassis.verify.progress import Progress


def test_a_line_tells_how_far_it_is_every_few_seconds() -> None:
    """Each look at the clock takes a second here: lines do not come with every event."""
    out, seconds = io.StringIO(), count()
    with Progress(out, clock=lambda: float(next(seconds))).bar("events of orders", 2_000) as bar:
        for _ in range(20):
            bar.update(100)
    lines = out.getvalue().splitlines()
    assert "events of orders: 0 of 2,000 (0 %)" in lines[0]
    assert "events of orders: 2,000 of 2,000 (100 %)" in lines[-1]
    assert 4 < len(lines) < 20


def test_what_nobody_has_counted_is_told_without_a_total() -> None:
    out = io.StringIO()
    with Progress(out).bar("remembered results", 0) as bar:
        bar.update(7)
    assert out.getvalue().splitlines()[-1].endswith("remembered results: 7")
