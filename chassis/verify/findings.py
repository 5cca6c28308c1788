"""What a verification found, and how it is told: to people as text, to programs as JSON."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

CONSISTENT, DIFFERENT, NOT_LOOKED = 0, 1, 2
SHOWN = 50


@dataclass(frozen=True)
class EventRef:
    """An event: its type, CloudEvents id, position in its service's log, and place on Kafka where it has one."""

    service: str
    position: int
    type: str = ""
    id: str = ""
    kafka: str = ""  # topic:partition@offset

    def __str__(self) -> str:
        on_kafka = f", {self.kafka}" if self.kafka else ""
        return f"{self.type} {self.id} (position {self.position} of {self.service}{on_kafka})"


@dataclass(frozen=True)
class Difference:
    """Two things that should be equal are not: which check saw it, about what, and the event behind it."""

    check: str
    about: str
    message: str
    event: EventRef | None = None

    def __str__(self) -> str:
        behind = f"\n    event: {self.event}" if self.event else ""
        return f"{self.check}: {self.about}: {self.message}{behind}"


@dataclass
class Findings:
    """`attention`: explained, but somebody has to act; `explained`: waits as it should; `not_looked`: no verdict."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    attention: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    not_looked: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, more: "Findings") -> None:
        """Take over what another part of the verification has found."""
        self.counts.update(more.counts)
        for name in ("differences", "attention", "explained", "not_looked"):
            getattr(self, name).extend(getattr(more, name))

    @property
    def exit_code(self) -> int:
        """0: consistent, 1: differences, 2: something could not be looked at (and the rest is consistent)."""
        if self.differences:
            return DIFFERENT
        return NOT_LOOKED if self.not_looked else CONSISTENT

    @property
    def verdict(self) -> str:
        return {CONSISTENT: "consistent", DIFFERENT: "different", NOT_LOOKED: "not looked"}[self.exit_code]

    def document(self) -> dict[str, Any]:
        """All of it, for `--json`."""
        return {
            "verdict": self.verdict,
            "counts": dict(self.counts),
            "differences": [asdict(found) for found in self.differences],
            "attention": self.attention,
            "explained": self.explained,
            "not_looked": self.not_looked,
            "seconds": round(self.seconds, 3),
        }

    def text(self) -> str:
        """All of it, for people."""
        lines = [f"{count:>10,}  {name}" for name, count in self.counts.items()]
        for title, found in (
            ("waits", self.explained),
            ("needs attention", self.attention),
            ("could not look", self.not_looked),
            ("DIFFERENT", [str(difference) for difference in self.differences]),
        ):
            lines += [f"{title}: {line}" for line in found[:SHOWN]]
            if len(found) > SHOWN:
                lines.append(f"{title}: {len(found) - SHOWN:,} more (--json shows all)")
        lines.append(f"{self.verdict}: {len(self.differences)} differences, {self.seconds:.1f} s")
        return "\n".join(lines)
