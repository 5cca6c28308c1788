"""The file's rows, the lines that keep the cents, the totals, and what is turned away."""

import sys
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo import cdnow
from deploy.demo.cdnow import BadFile, Line, Purchase, Totals, lines_of, parse, totals_by
from deploy.demo.errors import DemoError

FILE = (
    b" 00004 0001 19970101  2   29.33\r\n"
    b" 00004 0001 19980118  2   29.73\r\n"
    b" 00021 0002 19970101 40  506.97\r\n"
    b" 01101 0087 19970105  1    0.00\r\n"
)


def purchase(quantity: int, amount: str, *, row: int = 1, customer: str = "00004", day: str = "1997-01-01") -> Purchase:
    return Purchase(row, customer, day, quantity, Decimal(amount))


def test_rows_become_purchases() -> None:
    assert list(parse(FILE)) == [
        purchase(2, "29.33"),
        purchase(2, "29.73", row=2, day="1998-01-18"),
        purchase(40, "506.97", row=3, customer="00021"),
        purchase(1, "0.00", row=4, customer="01101", day="1997-01-05"),
    ]


def test_the_same_row_twice_is_two_purchases() -> None:
    row = FILE.splitlines(keepends=True)[0]
    assert [found.row for found in parse(row + row)] == [1, 2]


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b" 00004 0001 19970101  2",
        b" 00004 0001 19970101  2   29.33 x",
        b"00004 0001 19970101  2   29.33",
        b" 0004 0001 19970101  2   29.33",
        b" 00004 0001 19970230  2   29.33",
        b" 00004 0001 19971301  2   29.33",
        b" 00004 0001 19970101  0   29.33",
        b" 00004 0001 19970101 -2   29.33",
        b" 00004 0001 19970101 1.   29.33",
        b" 00004 0001 19970101  2   29.3",
        b" 00004 0001 19970101  2   29.333",
        b" 00004 0001 19970101  2  -29.33",
        b" 00004 0001 19970101  2     NaN",
        b" 00004 0001 19970101  2   2e+01",
        b" 00004 0001 19970101  2   29,33",
        b" 00004 0001 19970101  2   \xb2\xb9.33",
        "\u00a000004 0001 19970101  2   29.33".encode(),
    ],
)
def test_a_row_that_is_none_is_named(row: bytes) -> None:
    with pytest.raises(BadFile, match=r"^row 5 of CDNOW_sample\.txt"):
        list(parse(FILE + row + b"\r\n"))


@pytest.mark.parametrize(
    "quantity,amount,lines",
    [
        (1, "11.77", [(1, "11.77")]),
        (2, "29.33", [(1, "14.66"), (1, "14.67")]),
        (3, "63.34", [(2, "21.11"), (1, "21.12")]),
        (4, "20.00", [(4, "5.00")]),
        (5, "0.00", [(5, "0.00")]),
        (5, "0.03", [(2, "0.00"), (3, "0.01")]),
    ],
)
def test_an_uneven_amount_makes_two_lines(quantity: int, amount: str, lines: list[tuple[int, str]]) -> None:
    assert lines_of(quantity, Decimal(amount)) == tuple(Line(number, Decimal(price)) for number, price in lines)


@given(quantity=st.integers(1, 500), cents=st.integers(0, 10_000_000))
def test_the_lines_keep_every_cent(quantity: int, cents: int) -> None:
    amount = cents * Decimal("0.01")
    lines = lines_of(quantity, amount)
    assert sum(line.quantity * line.unit_price for line in lines) == amount
    assert sum(line.quantity for line in lines) == quantity
    assert all(line.quantity >= 1 and line.unit_price >= 0 for line in lines)
    assert all(line.unit_price.as_tuple().exponent == -2 for line in lines)
    assert len(lines) == (1 if cents % quantity == 0 else 2)


def test_totals_per_customer_and_per_month() -> None:
    purchases = list(parse(FILE))
    assert totals_by(lambda p: p.customer, purchases) == {
        "00004": Totals(2, 4, Decimal("59.06")),
        "00021": Totals(1, 40, Decimal("506.97")),
        "01101": Totals(1, 1, Decimal("0.00")),
    }
    assert totals_by(lambda p: p.month, purchases) == {
        "1997-01": Totals(3, 43, Decimal("536.30")),
        "1998-01": Totals(1, 2, Decimal("29.73")),
    }
    assert set(totals_by(lambda p: p.year, purchases)) == {"1997", "1998"}


amounts = st.integers(0, 100_000).map(lambda cents: cents * Decimal("0.01"))
months = st.sampled_from(["1997-01", "1997-12", "1998-06"])


@given(st.lists(st.tuples(months, st.integers(1, 40), amounts)))
def test_totals_lose_nothing(rows: list[tuple[str, int, Decimal]]) -> None:
    purchases = [Purchase(at, "00001", f"{month}-15", q, amount) for at, (month, q, amount) in enumerate(rows, 1)]
    parts = totals_by(lambda p: p.month, purchases)
    whole = sum(parts.values(), Totals())
    assert whole == Totals(len(rows), sum(q for _, q, _ in rows), sum((a for _, _, a in rows), Decimal("0.00")))
    assert whole - whole == Totals()


def test_a_file_in_its_place_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "CDNOW_sample.txt").write_bytes(FILE)
    monkeypatch.setattr(cdnow, "SHA256", sha256(FILE).hexdigest())
    monkeypatch.setattr(cdnow, "ROWS", 4)
    assert len(cdnow.read(tmp_path)) == 4
    monkeypatch.setattr(cdnow, "ROWS", 5)
    with pytest.raises(BadFile, match="4 rows instead of 5"):
        cdnow.read(tmp_path)


def test_another_file_is_turned_away(tmp_path: Path) -> None:
    (tmp_path / "CDNOW_sample.txt").write_bytes(FILE)
    with pytest.raises(BadFile, match="SHA-256"):
        cdnow.read(tmp_path)


def test_without_an_installer_it_says_where_the_file_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cdnow, "_installers", lambda: iter([]))
    with pytest.raises(DemoError, match="neither uv nor pip") as refused:
        cdnow.read(tmp_path)
    assert str(tmp_path / "CDNOW_sample.txt") in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def installer_at(path: Path) -> Path:
    """A program that installs the file's package, as uv and pip would."""
    path.write_text(
        '#!/bin/sh\nfor last; do [ "$previous" = --target ] && folder=$last; previous=$last; done\n'
        '/bin/mkdir -p "$folder/lifetimes/datasets"\nprintf bytes > "$folder/lifetimes/datasets/CDNOW_sample.txt"\n'
    )
    path.chmod(0o755)
    return path


def test_the_uv_that_setup_made_installs_where_none_is_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer_at(tmp_path / "uv")
    monkeypatch.setattr(cdnow, "BOOTSTRAP", tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert [str(tmp_path / "uv"), "pip", "install", "--python", sys.executable] in list(cdnow._installers())
    cdnow._fetch(tmp_path / "cache" / "CDNOW_sample.txt")
    assert (tmp_path / "cache" / "CDNOW_sample.txt").read_bytes() == b"bytes"


def test_an_installer_that_fails_gives_way_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = installer_at(tmp_path / "installer")
    monkeypatch.setattr(cdnow, "_installers", lambda: iter([["/nonexistent/uv"], ["false"], [str(script)]]))
    cdnow._fetch(tmp_path / "cache" / "CDNOW_sample.txt")
    assert (tmp_path / "cache" / "CDNOW_sample.txt").read_bytes() == b"bytes"
    assert len(list((tmp_path / "cache").iterdir())) == 1
