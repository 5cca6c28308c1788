"""What the benchmark found: figures with their spread, each beside its baseline; a table and a flat JSON file."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

Scalar = str | int | float | bool


class Broken(Exception):
    """The run broke an invariant, so none of its figures counts."""


@dataclass(frozen=True)
class Bar:
    """What a figure should reach.  `of_ratio`: the ratio to the baseline counts, not the figure itself."""

    value: float
    stretch: float | None = None
    of_ratio: bool = False
    at_most: bool = False

    def verdict(self, reached: float) -> str:
        if self.stretch is not None and self._met(reached, self.stretch):
            return "stretch"
        return "met" if self._met(reached, self.value) else "MISSED"

    def _met(self, reached: float, wanted: float) -> bool:
        return reached <= wanted if self.at_most else reached >= wanted

    def __str__(self) -> str:
        sign, unit = ("<=" if self.at_most else ">="), ("x" if self.of_ratio else "")
        more = "" if self.stretch is None else f" ({_number(self.stretch)}{unit})"
        return f"{sign} {_number(self.value)}{unit}{more}"


@dataclass(frozen=True)
class Figure:
    """One figure: the values of its repetitions; `ratios`, to its baseline, are of pairs measured together."""

    key: str
    values: Sequence[float]
    baseline: str = ""
    ratios: Sequence[float] = ()
    bar: Bar | None = None

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def ratio(self) -> float | None:
        return median(self.ratios) if self.ratios else None

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        reached = self.ratio if self.bar.of_ratio else self.value
        return "" if reached is None else self.bar.verdict(reached)

    def flat(self) -> dict[str, Scalar]:
        """The figure as JSON keys: the median under its own key, the spread beside it."""
        found: dict[str, Scalar] = {self.key: _rounded(self.value)}
        if len(self.values) > 1:
            found |= {
                f"{self.key}_min": _rounded(min(self.values)),
                f"{self.key}_max": _rounded(max(self.values)),
                f"{self.key}_repetitions": len(self.values),
            }
        if self.ratio is not None:
            found |= {
                f"{self.key}_baseline": self.baseline,
                f"{self.key}_ratio": _rounded(self.ratio),
                f"{self.key}_ratio_min": _rounded(min(self.ratios)),
                f"{self.key}_ratio_max": _rounded(max(self.ratios)),
            }
        if self.bar is not None:
            found |= {f"{self.key}_bar": str(self.bar), f"{self.key}_verdict": self.verdict}
        return found


def ratios(values: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Each repetition beside the baseline's of the same moment."""
    return [value / other for value, other in zip(values, baseline, strict=True)]


class Stopwatch:
    """Times a stretch: by the clock, and in CPU of this process, which busy neighbours disturb less."""

    def __enter__(self) -> "Stopwatch":
        self._cpu, self._clock = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._clock
        self.cpu_seconds = time.process_time() - self._cpu

    def of(self, count: int) -> "Pace":
        return Pace(count / self.seconds, self.cpu_seconds / count * 1e6)


@dataclass(frozen=True)
class Pace:
    """How many a second, and the CPU microseconds of each."""

    per_s: float
    cpu_us: float


@dataclass
class Report:
    """All figures of one run and the circumstances under which they were measured."""

    about: dict[str, Scalar]
    figures: list[Figure] = field(default_factory=list)

    def add(self, *figures: Figure) -> None:
        self.figures += figures

    def table(self) -> str:
        head = ("figure", "median", "min", "max", "n", "ratio", "baseline", "bar (stretch)", "verdict")
        rows = [head, *(_row(figure) for figure in self.figures)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = [_line(row, widths) for row in rows]
        lines.insert(1, "  ".join("-" * width for width in widths))
        about = [f"{name}: {value}" for name, value in self.about.items()]
        return "\n".join([*lines, "", *about])

    def write(self, path: Path) -> None:
        content = dict(self.about)
        for figure in self.figures:
            content |= figure.flat()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")


def _row(figure: Figure) -> tuple[str, ...]:
    several = len(figure.values) > 1
    return (
        figure.key,
        _number(figure.value),
        _number(min(figure.values)) if several else "",
        _number(max(figure.values)) if several else "",
        str(len(figure.values)) if several else "",
        "" if figure.ratio is None else f"{figure.ratio:.2f}x",
        figure.baseline,
        "" if figure.bar is None else str(figure.bar),
        figure.verdict,
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if 1 <= number <= 5 else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _rounded(value: float) -> float:
    return round(value, 4 if abs(value) < 10 else 1)
