"""What people are told of (NTF-01..08): each occasion is declared once, by its code here and its sentence in three
languages in `contracts/texts/notices.toml`.

    STOCK_LOW = { zh = "…", ja = "…", en = "Stock of {product} fell to {balance}, below {alert_quantity}: restock it." }

What stands in braces are places, which are filled with the values that go along with what is told (`Filled`).  Filling
in is replacing, once: a value is never read as a sentence, and a sentence never as a program.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from contracts.declare import value
from contracts.languages import Language
from contracts.personal import Personal
from contracts.reasons import PLACE
from contracts.texts import texts
from contracts.types import Name, Note, NoteField

Occasion = Literal[
    "STOCK_LOW", "ORDER_ON_HOLD", "APPROVAL_WAITS", "APPROVAL_REJECTED", "ANNOUNCEMENT", "RECORD_ASSIGNED",
    "RECORD_TRANSFERRED", "RECORD_RETURNED", "RECORD_RECYCLED", "RECYCLING_NEAR", "PUSH_RULE", "MENTIONED",
    "CONTACT_DUE", "TASK_GIVEN", "TASK_DUE", "APPROVAL_ASKED",
]  # fmt: skip
OCCASIONS: tuple[Occasion, ...] = get_args(Occasion)
Way = Literal["MAIL", "SMS", "DINGTALK", "WECOM"]
"""How somebody is told besides the list of their notices, which has all of them (NTF-03)."""
WAYS: tuple[Way, ...] = get_args(Way)
GROUPS: tuple[Way, ...] = ("DINGTALK", "WECOM")
"""The ways by which others read it too: they say of what somebody is told, and never what."""
TO_MANY: tuple[Occasion, ...] = ("ANNOUNCEMENT",)
"""The occasions of which all may be told at once: no robot says that to each of them, one message after the other."""
RULE_OCCASION: Occasion = "PUSH_RULE"
"""The occasion of whatever a company's own rules have people told of (NTF-02)."""
KIND = "kind"
"""The place that is filled in by itself: with what a record of that kind is called, in the language of the sentence."""


@value
class Filled:
    """What stands in the place `name` of a sentence.  It tells of the same person as the notice it is a part of."""

    told_apart_by = "name"

    name: Name
    text: Personal[Note]


def called(occasion: Occasion, language: Language) -> str:
    """What an occasion is called, in settings, lists and as the subject of a mail."""
    return texts("choices")[occasion].in_language(language)


def sentence(occasion: Occasion, language: Language) -> str:
    """What is told on an occasion, its places as they stand."""
    return texts("notices")[occasion].in_language(language)


def places(occasion: Occasion) -> frozenset[str]:
    """The places of what is told on an occasion: the same in each language."""
    return frozenset(PLACE.findall(sentence(occasion, "en")))


def kind_called(what: str, language: Language) -> Filled:
    """What fills the place KIND of what is told of a record; `what` is its kind (`Kind.what`), "" where of none."""
    text = texts("kinds").get(what)
    return Filled(name=KIND, text=text.in_language(language) if text else "")


def filled(sentence: str, values: Sequence[Filled]) -> str:
    """A sentence with its places filled in; one of which nothing is known stays empty, and what is too long is cut."""
    known: Mapping[str, str] = {one.name: one.text for one in values}
    return shortened(PLACE.sub(lambda place: known.get(place[1], ""), sentence), NoteField.longest)


def shortened(text: str, longest: int) -> str:
    """A text that is no longer; where something was cut off, it ends with the sign for that."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
