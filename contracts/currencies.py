"""The currencies there are and how many decimals each has (ISO 4217); the one place where an amount meets its own."""

from decimal import ROUND_HALF_EVEN, Decimal

from iso4217 import Currency as Iso4217

from contracts.errors import Refused
from contracts.reasons import Why

DECIMALS: dict[str, int] = {one.code: one.exponent for one in Iso4217 if one.exponent is not None}
"""Code -> decimals.  Gold, testing codes and the like, which have no smallest unit, are no currencies to pay in."""

MOST_DECIMALS = max(DECIMALS.values())


def fitted(amount: Decimal, currency: str) -> Decimal | None:
    """The amount with exactly its currency's decimals, None when it has more.  Nothing is rounded.

    An amount in a code that is no currency (older events have them) stays as it is.
    """
    if currency not in DECIMALS:
        return amount
    exact = rounded(amount, currency)
    return exact if exact == amount else None


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount that a currency has next to this one, half to even; in a code that is no currency as it is."""
    if currency not in DECIMALS:
        return amount
    return amount.quantize(Decimal(1).scaleb(-DECIMALS[currency]), ROUND_HALF_EVEN)


def too_fine(currency: str) -> Why:
    """What is said about an amount with more decimals than its currency has."""
    if most := DECIMALS[currency]:
        return Why("forms.decimals", currency=currency, most=most)
    return Why("forms.no_decimals", currency=currency)


def exactly(amount: Decimal, currency: str, field: str) -> Decimal:
    """An amount that was given without its currency, fitted.  Raises Refused VALIDATION naming the field."""
    exact = fitted(amount, currency)
    if exact is None:
        raise Refused("forms.invalid", errors=[too_fine(currency)], field=field)
    return exact
