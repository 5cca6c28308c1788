"""Real purchases: CDNOW_sample.txt of the Python package Lifetimes, as bytes, as rows and as the lines of orders.

The file holds every purchase that 2,357 customers of the online shop CDNOW made from January 1997 to June 1998: the
customer's number in the whole data set, the number in this sample, the day, the number of CDs, the dollars paid.  There
are no titles and no unit prices.  Every purchase has at least one CD; eight cost 0.00 and are orders like all others.
Nineteen rows occur twice or three times word for word, so a purchase is known by its row, not by its content.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from deploy.demo.errors import DemoError
from deploy.devstack.server import REPOSITORY_ROOT

PACKAGE = "Lifetimes==0.11.3"
MEMBER = "lifetimes/datasets/CDNOW_sample.txt"
SHA256 = "6fae10155c0b0ba363c2c386e30f77990d22328220efd862a5edd1443420d94a"
ROWS = 6_919

INSTALL_SECONDS = 300
BOOTSTRAP = REPOSITORY_ROOT / ".bootstrap" / "bin"  # where `make setup` puts a uv if the machine has none
CENT = Decimal("0.01")
_ROW = re.compile(r" (?P<customer>\d{5}) \d{4} (?P<day>\d{8}) (?P<quantity>[ \d]\d) {1,4}(?P<amount>\d{1,3}\.\d\d)")


class BadFile(DemoError):
    """The file is not what it should be."""


@dataclass(frozen=True)
class Purchase:
    """One row: the number of the row (from 1), the customer's number, the day, CDs and dollars."""

    row: int
    customer: str
    day: str  # YYYY-MM-DD
    quantity: int
    amount: Decimal

    @property
    def month(self) -> str:
        return self.day[:7]

    @property
    def year(self) -> str:
        return self.day[:4]


@dataclass(frozen=True)
class Line:
    """A line of an order: so many CDs at this price each."""

    quantity: int
    unit_price: Decimal


@dataclass(frozen=True)
class Totals:
    """Orders, CDs and dollars."""

    orders: int = 0
    quantity: int = 0
    amount: Decimal = Decimal("0.00")

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.orders + other.orders, self.quantity + other.quantity, self.amount + other.amount)

    def __sub__(self, other: "Totals") -> "Totals":
        return Totals(self.orders - other.orders, self.quantity - other.quantity, self.amount - other.amount)

    def __str__(self) -> str:
        return f"{self.orders} orders, {self.quantity} CDs, {self.amount} USD"


# -- rows -----------------------------------------------------------------------------------------------------------


def parse(raw: bytes) -> Iterator[Purchase]:
    """The purchases of the file.  Raises BadFile that names the first row which is not one."""
    for row, line in enumerate(raw.splitlines(), start=1):
        text = line.decode("ascii", "backslashreplace")
        found = _ROW.fullmatch(text)
        if not found:
            raise BadFile(f"row {row} of CDNOW_sample.txt is not customer, day, CDs and dollars: {text[:80]!r}")
        try:
            day = datetime.strptime(found["day"], "%Y%m%d").date().isoformat()
        except ValueError:
            raise BadFile(f"row {row} of CDNOW_sample.txt has the day {found['day']}, which does not exist") from None
        quantity = int(found["quantity"])
        if quantity == 0:
            raise BadFile(f"row {row} of CDNOW_sample.txt is a purchase of no CDs: an order needs at least one")
        yield Purchase(row, found["customer"], day, quantity, Decimal(found["amount"]))


def lines_of(quantity: int, amount: Decimal) -> tuple[Line, ...]:
    """The lines that together are exactly `quantity` and `amount`: one if the cents divide evenly, else two."""
    cents, rest = divmod(int(amount / CENT), quantity)
    cheaper = Line(quantity - rest, cents * CENT)
    return (cheaper, Line(rest, (cents + 1) * CENT)) if rest else (cheaper,)


def totals_by(key: Callable[[Purchase], str], purchases: Iterable[Purchase]) -> dict[str, Totals]:
    """Orders, CDs and dollars per customer, month, day..."""
    found: dict[str, Totals] = {}
    for purchase in purchases:
        name = key(purchase)
        found[name] = found.get(name, Totals()) + Totals(1, purchase.quantity, purchase.amount)
    return found


# -- the file -------------------------------------------------------------------------------------------------------


def read(folder: Path) -> list[Purchase]:
    """All purchases, from `folder` if the file is there, else fetched into it.  Raises BadFile, DemoError."""
    path = folder / Path(MEMBER).name
    if not path.exists():
        _fetch(path)
    raw = path.read_bytes()
    if (found := sha256(raw).hexdigest()) != SHA256:
        raise BadFile(f"{path} is not the file of {PACKAGE}: its SHA-256 is {found}.  Delete it and try again.")
    purchases = list(parse(raw))
    if len(purchases) != ROWS:
        raise BadFile(f"{path} has {len(purchases)} rows instead of {ROWS}.  Delete it and try again.")
    return purchases


def _fetch(path: Path) -> None:
    """Take the file out of the package.

    Only the package's own wheel is unpacked, into a folder that is deleted again: nothing of it runs, and the old
    versions of numpy and pandas that it asks for stay away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as unpacked:
        options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--target", unpacked, PACKAGE]
        problems: list[str] = []
        for installer in _installers():
            name = " ".join(installer)
            try:
                done = subprocess.run(  # noqa: S603 - our own arguments
                    [*installer, *options], capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                problems.append(f"{name}: {error}")
                continue
            if done.returncode == 0 and (found := Path(unpacked) / MEMBER).exists():
                found.replace(path)
                return
            problems.append(f"{name}: {(done.stderr or done.stdout).strip()[-600:] or 'the file is not in it'}")
    reasons = "\n".join(f"  {problem}" for problem in problems) or "  there is neither uv nor pip"
    raise DemoError(
        f"Can't fetch {PACKAGE} from the package index:\n{reasons}\n"
        f"Mend that, or put its file {MEMBER} at {path} yourself."
    )


def _installers() -> Iterator[list[str]]:
    """The commands that install a package: uv (environments made by it have no pip), else a pip."""
    for name in ("uv", str(BOOTSTRAP / "uv")):
        if uv := shutil.which(name):
            yield [uv, "pip", "install", "--python", sys.executable]
    base = str(Path(sys.base_prefix) / "bin" / "python3")
    for python in dict.fromkeys([sys.executable, base]):
        if shutil.which(python) and _has(python, "uv"):
            yield [python, "-m", "uv", "pip", "install", "--python", sys.executable]
        if shutil.which(python) and _has(python, "pip"):
            yield [python, "-m", "pip", "install"]


def _has(python: str, module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0  # noqa: S603
