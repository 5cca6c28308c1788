"""Why something is refused: a reason for programs with its parameters, and the sentence that tells it to people.

    Why("lists.most_words", field="q", most=10)     "q: at most 10 words."

The sentence stands in Chinese, Japanese and English under its reason in `contracts/texts/refusals/`: lists.toml,
[most_words].  Its places are the parameters.  What goes by a number is written `{count} {count:record|records}`: with
1 it is the first, else the second, which clients are told as well.  A test (`tests/contract/test_reasons.py`) holds
code and texts together.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from contracts.declare import ContractError, value
from contracts.languages import LANGUAGES, Language
from contracts.permissions import ROLES
from contracts.texts import Subject, Text, texts

FOLDER = Path(__file__).parent / "texts" / "refusals"
PLACE = re.compile(r"{(\w+)}")
_COUNTED = re.compile(r"{(\w+):([^{}|]+)\|([^{}|]+)}")
LONGEST = 500
"""So many characters of a value are told at most."""
MOST = 250
"""So many entries of a list are told at most."""
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

COMMA: Mapping[Language, str] = {"zh": "、", "ja": "、", "en": ", "}
"""What stands between two of several, where they are told as one text."""
_AND_MORE: Mapping[Language, str] = {"zh": "等，另有 {count} 项", "ja": "、ほか {count} 件", "en": " and {count} more"}
_BETWEEN: Mapping[Language, str] = {"zh": "", "ja": "", "en": " "}
"""What stands between two sentences."""


@value
class ReasonText:
    """The code of a reason (`contracts.errors.STATUS`) and its sentence in each language, as it is of several.

    `counting` is the sentence with what goes by a number, in languages that have such words: in English.
    """

    code: str
    text: Text
    counting: str

    @property
    def places(self) -> frozenset[str]:
        return frozenset(PLACE.findall(self.text.en))


@cache
def reasons() -> Mapping[str, ReasonText]:
    """All reasons by their keys, `<file>.<key>`.  Raises ContractError for one that is not in these three languages."""
    found: dict[str, ReasonText] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for key, said in tomllib.loads(path.read_text(encoding="utf-8")).items():
            code = said.pop("code", "VALIDATION")
            if said.keys() != set(LANGUAGES):
                raise ContractError(f"contracts/texts/refusals/{path.name}: {key!r} must have {', '.join(LANGUAGES)}")
            several = {language: _COUNTED.sub(r"\3", one) for language, one in said.items()}
            found[f"{path.stem}.{key}"] = ReasonText(code=code, text=Text(**several), counting=said["en"])
    return found


class Why(str):
    """Why something is refused.  As a text it is English, as logs and programs have it; `said` tells it to people.

    It is a text so that marshmallow, whose messages are such, carries it as it is.
    """

    __slots__ = ("params", "reason")
    reason: str
    params: Mapping[str, Any]

    def __new__(cls, reason: str, /, **params: Any) -> "Why":
        made = super().__new__(cls, _filled(reason, params, "en"))
        made.reason, made.params = reason, params
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.reason, dict(self.params))

    def format(self, *_: object, **__: object) -> "Why":
        """Itself: marshmallow would fill in the places of its own messages."""
        return self

    def said(self, language: Language) -> str:
        """The sentence in a language."""
        return str(self) if language == "en" else _filled(self.reason, self.params, language)

    def without_persons(self, mark: str) -> str:
        """The English sentence with `mark` in place of whatever tells of a person (`OfPerson`): what may be kept."""
        return _filled(self.reason, {name: _marked(one, mark) for name, one in self.params.items()}, "en")

    def told(self) -> dict[str, object]:
        """The reason and its parameters, as JSON has them."""
        return {"reason": self.reason, "params": {name: _plain(one) for name, one in self.params.items()}}


def given_again(told: Any) -> Any:
    """A parameter as another process has told it (`Why.told`): what is a reason itself is one again."""
    if isinstance(told, dict) and told.keys() == {"reason", "params"}:
        return _again(told["reason"], {name: given_again(one) for name, one in told["params"].items()})
    return [given_again(one) for one in told] if isinstance(told, list) else told


def _again(reason: str, params: Mapping[str, Any]) -> Why:
    return Why(reason, **params)


def as_kept(why: Why) -> Why:
    """A reason as an event keeps it: without what another record is called, which may tell of another person."""
    if why.reason != "records.taken_by":
        return why
    return Why("records.taken", what=why.params["what"], holder=why.params["holder"])


def params_kept(why: Why) -> str:
    """The parameters of a reason as an event keeps them: as JSON; personal where one of them may be (`OfPerson`)."""
    return msgspec.json.encode(why.told()["params"]).decode()


def param_kept(params: str, name: str) -> str | None:
    """One of the parameters that an event has kept of a reason, where that is a text."""
    try:
        kept = msgspec.json.decode(params)
    except msgspec.DecodeError:  # nothing was kept, or it told of who was erased since
        return None
    found = kept.get(name) if isinstance(kept, dict) else None
    return found if isinstance(found, str) else None


def said_again(reason: str, params: str, language: Language) -> str:
    """What is told of a reason that an event has kept; nothing where its parameters told of who was erased since."""
    if not params or reason not in reasons():
        return ""
    return _again(reason, {name: given_again(one) for name, one in msgspec.json.decode(params).items()}).said(language)


class OfPerson(str):
    """A value that tells of a person (`contracts.personal`): told to whoever is refused, and kept nowhere.

    What is kept of a refusal, in the audit log, would be readable after that person was erased.
    """

    __slots__ = ()


class CodeOf(str):
    """A code that may be called otherwise where it stands: its text is that of `<place>.<code>` where there is one.

    A campaign is not RUNNING as a command is: `campaign.status`.
    """

    place: str

    def __new__(cls, code: str, place: str) -> "CodeOf":
        made = super().__new__(cls, code)
        made.place = place
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return CodeOf, (str(self), self.place)


def _marked(given: Any, mark: str) -> Any:
    if isinstance(given, OfPerson):
        return mark
    if isinstance(given, Why):
        return _again(given.reason, {name: _marked(one, mark) for name, one in given.params.items()})
    if isinstance(given, Some):
        return Some([_marked(one, mark) for one in given.entries], given.shown)
    if isinstance(given, str) or not isinstance(given, Iterable):
        return given
    return [_marked(one, mark) for one in given]


class Some:
    """Entries of which a sentence tells the first `shown` by name, and of the others how many there are."""

    def __init__(self, entries: Iterable[object], shown: int) -> None:
        self.entries, self.shown = list(entries), shown


def _filled(reason: str, params: Mapping[str, Any], language: Language) -> str:
    """A sentence with its places filled in.  What is filled in is never read as a sentence itself."""
    known = reasons()[reason]
    sentence = known.text.in_language(language)
    if language == "en":
        sentence = _COUNTED.sub(lambda one: one[2] if params[one[1]] == 1 else one[3], known.counting)
    return PLACE.sub(lambda place: _said(place[1], params[place[1]], language), sentence)


def _said(place: str, given: Any, language: Language) -> str:
    """A value as a sentence tells it: codes and names that have words in a language by those."""
    if isinstance(given, Why):
        return given.said(language)
    if isinstance(given, Some):
        return _listed(place, given.entries, given.shown, language)
    if not isinstance(given, str) and isinstance(given, Iterable):
        return _listed(place, list(given), MOST, language)
    word = None
    if language != "en" or place == "kind":
        where = (given.place, given.place.rpartition(".")[2]) if isinstance(given, CodeOf) else ()
        codes = (*(f"{one}.{given}" for one in where), str(given))
        word = next(filter(None, (_word(place, code, language) for code in codes)), None)
    return word or shown(given)


def _listed(place: str, entries: Sequence[Any], most: int, language: Language) -> str:
    between = _BETWEEN if place == "errors" else COMMA
    told = between[language].join(_said(place, one, language) for one in entries[:most])
    more = len(entries) - most
    return told + (_AND_MORE[language].replace("{count}", str(more)) if more > 0 else "")


def shown(given: object) -> str:
    """A value as it is told: of bounded length, without what can't be seen or written."""
    text = f"{given:f}" if isinstance(given, Decimal) else str(given)
    return _UNSEEN.sub("\ufffd", text[:LONGEST])


def _plain(given: Any) -> object:
    """A value as JSON has it."""
    if isinstance(given, Why):
        return given.told()
    if isinstance(given, Some):
        return _plain(given.entries)
    if isinstance(given, int):
        return given
    if isinstance(given, str | Decimal | UUID | date):
        return shown(given)
    return [_plain(one) for one in list(given)[:MOST]] if isinstance(given, Iterable) else shown(given)


# -- words for codes and names

_SUBJECTS: Mapping[str, Subject] = {
    "kind": "kinds",
    "state": "choices",
    "states": "choices",
    "to": "choices",
    "child": "kinds",
    "node": "choices",
    "right": "rights",
    "roles": "roles",
}
_OWN = "own"
"""Before the key of a field that the company has added (`contracts.custom_fields.OWN`), which no text here names."""


def _word(place: str, code: str, language: Language) -> str | None:
    """What a code or name is called that stands in a place of this name."""
    if place in ("field", "fields"):
        return _path(code, language)
    if place == "roles":  # an administrator may have named it
        code = next((role for role, title in ROLES.items() if title == code), code)
    found = texts(_SUBJECTS[place]).get(code) if place in _SUBJECTS else None
    if found is None and place == "kind" and language != "en":
        found = texts("fields").get(code)  # what stands in an address and is no record, such as a right
    return found.said(language) if found else None


def _path(path: str, language: Language) -> str | None:
    """What a field is called; entries of lists are counted from 1, as people do.  None where a part has no name."""
    outer, _, key = path.partition(".")
    if outer == _OWN and key and (called := _field(outer, language)):
        return f"{called} {shown(key)}"
    told = [str(int(part) + 1) if re.fullmatch("[0-9]{1,6}", part) else _field(part, language)
            for part in path.split(".")]  # fmt: skip
    return " ".join(part for part in told if part) if all(told) else None


def _field(name: str, language: Language) -> str | None:
    found = texts("fields").get(name)
    if found is None and name.endswith("_id"):
        found = texts("kinds").get(name.removesuffix("_id").replace("_", " "))
    return found.said(language) if found else None
