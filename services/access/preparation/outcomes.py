"""Stored outcomes that are refusals to whoever asked."""

from collections.abc import Callable, Mapping
from typing import Any

from contracts.errors import Refused
from services.access.domain.sessions import (
    wrong,
    wrong_challenge,
)


def refuses_sign_in(body: Mapping[str, Any]) -> Refused | None:
    match body["outcome"]:
        case "OPEN" | "PROOF":
            return None
        case "WRONG_CHALLENGE":
            return wrong_challenge()
        case _:
            return wrong()


def refuses_unless(outcome: str, refusal: Callable[[], Refused]) -> Callable[[Mapping[str, Any]], Refused | None]:
    return lambda body: None if body["outcome"] == outcome else refusal()


def refuses_on(outcome: str, refusal: Callable[[], Refused]) -> Callable[[Mapping[str, Any]], Refused | None]:
    return lambda body: refusal() if body.get("outcome") == outcome else None
