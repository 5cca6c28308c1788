"""Who waits for a verification sees how far it is."""

import io
from itertools import count

import pytest

from chassis.verify.progress import ProgressBar


def test_a_line_tells_how_far_it_is_every_few_seconds() -> None:
    """Each look at the clock takes a second here: lines do not come with every event."""
    out, seconds = io.StringIO(), count()
    with ProgressBar(out, clock=lambda: float(next(seconds))).bar("events of orders", 2_000) as bar:
        for _ in range(20):
            bar.update(100)
    lines = out.getvalue().splitlines()
    assert "events of orders: 0 of 2,000 (0 %)" in lines[0]
    assert "events of orders: 2,000 of 2,000 (100 %)" in lines[-1]
    assert 4 < len(lines) < 20


def test_what_nobody_has_counted_is_told_without_a_total() -> None:
    out = io.StringIO()
    with ProgressBar(out).bar("remembered results", 0) as bar:
        bar.update(7)
    assert out.getvalue().splitlines()[-1].endswith("remembered results: 7")


@pytest.mark.parametrize("done", [0, 1_999, 2_000, 2_500])
def test_what_is_done_is_told_as_done(done: int) -> None:
    """Events of kinds that are not looked at are passed over uncounted, and a log may grow meanwhile."""
    out = io.StringIO()
    with ProgressBar(out).bar("events of orders", 2_000) as bar:
        bar.update(done)
    assert f"{max(done, 2_000):,} of {max(done, 2_000):,} (100 %)" in out.getvalue().splitlines()[-1]


def test_what_was_not_done_is_not_told_as_done() -> None:
    out = io.StringIO()
    with pytest.raises(OSError, match="gone"), ProgressBar(out).bar("events of orders", 2_000) as bar:
        bar.update(100)
        raise OSError("gone")
    assert "100 %" not in out.getvalue()
