"""Amounts as text: plainly written, without exponents, and of what is worked out without zeros that say nothing."""

from functools import lru_cache

from bson import Decimal128

AMOUNTS_KEPT = 20_000
LONGEST_PLAIN = 20
"""An amount of more digits before or behind the point is written with an exponent: no contract takes such."""


def told(amount: Decimal128) -> str:
    """An amount with the decimals that it has."""
    return _told(amount.bid)


def tidied(amount: Decimal128) -> Decimal128:
    """What was worked out: 12.5, where MongoDB has 12.50000000 or 1.25E+1."""
    number = amount.to_decimal()
    if not number.is_finite() or not number:
        return Decimal128("0")
    text = f"{number:f}"
    return Decimal128(text.rstrip("0").rstrip(".") if "." in text else text)


@lru_cache(AMOUNTS_KEPT)
def _told(octets: bytes) -> str:
    """The text of an amount, from the octets that tell it: most come again."""
    number = Decimal128.from_bid(octets).to_decimal()
    return f"{number:f}" if number.is_finite() and abs(number.adjusted()) < LONGEST_PLAIN else str(number)
