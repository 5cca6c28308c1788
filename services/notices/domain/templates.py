"""What people are told in the company's own words: what a template may say, and which words somebody reads (CFG-10)."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin
from uuid import UUID

from chassis.model.context import Context
from chassis.model.records import Record
from contracts.errors import Refused
from contracts.languages import LANGUAGES, Language
from contracts.notices import NoticeTemplate
from contracts.occasions import KIND, RULE_OCCASION, Filled, Occasion, called, filled, places, sentence
from contracts.reasons import PLACE
from contracts.records import Field, Kind, kind_called, kind_of
from contracts.types import TextField

TEXTS: Sequence[str] = tuple(f"{part}_{language}" for language in LANGUAGES for part in ("title", "text"))
"""The fields of a template in which it says something."""
BRACES = "{}｛｝"
"""What is left of these when all places are taken out is a place that was written wrongly."""
RULE = "rule"
"""The place for what the push rule is called."""
OF_RECORDS = ("record", "by", "owner", "status")
"""What is told of a record because of a push rule besides its fields: what it is called, who did something with it,
whose it is, and its status."""


UNTOLD = (bool, UUID)
"""The types of what does not read as a text: marks, and ids of others."""


def fields_told(kind: Kind) -> Sequence[str]:
    """The fields of a kind of record that a sentence can tell: those of one value that reads as a text."""
    return [name for name, field in kind.fields.items() if _is_told(field) and name not in (RULE, KIND, *OF_RECORDS)]


def _is_told(field: Field) -> bool:
    one = get_args(field.one)[0] if get_origin(field.one) is Annotated else field.one
    return not field.is_list and one not in UNTOLD


def places_of(occasion: Occasion, record_kind: str | None) -> Collection[str]:
    """The places that a template may have."""
    if occasion != RULE_OCCASION:
        return {*places(occasion), KIND}
    found = {RULE, KIND, *OF_RECORDS}
    if record_kind:
        kind = kind_called(record_kind)
        found |= {*fields_told(kind)}
        found -= ({"owner"} if not kind.owned else set()) | ({"status"} if not kind.statuses else set())
    return found


@dataclass
class NoticeTemplateRecord(Record):
    """A template."""

    kind = kind_of(NoticeTemplate)

    def check(self, data: NoticeTemplate, given: Collection[str], context: Context, settings: Any) -> None:
        """Raises Refused VALIDATION for one that says nothing, or has a place of which nobody knows what to say."""
        if data.occasion == "ANNOUNCEMENT":
            raise Refused("notices.announced_as_written", field="occasion")
        if not any(getattr(data, name) for name in TEXTS):
            raise Refused("notices.no_words", field="text_zh")
        known = places_of(data.occasion, data.record_kind)
        asked_anew = {"occasion", "record_kind"} & set(given)
        for name in TEXTS:
            if asked_anew or name in given:
                _require_places(getattr(data, name), known, name)


def _require_places(text: str, known: Collection[str], field: str) -> None:
    """Raises Refused VALIDATION with the places that there are."""
    for place in PLACE.findall(text):
        if place not in known:
            raise Refused("notices.no_such_place", name=place, names=sorted(known), field=field)
    if set(PLACE.sub("", text)) & set(BRACES):
        raise Refused("notices.brace", names=sorted(known), field=field)


# -- the words that somebody reads


@dataclass(frozen=True)
class KnownTemplate:
    """A template as it is now: what it says by `title_<language>` and `text_<language>`."""

    id: UUID
    name: str
    occasion: str
    record_kind: str
    said: dict[str, str]
    deleted: bool = False

    @classmethod
    def of(cls, id: UUID, data: NoticeTemplate) -> "KnownTemplate":
        said = {name: text for name in TEXTS if (text := getattr(data, name))}
        return cls(id, data.name, data.occasion, data.record_kind or "", said)

    def is_for(self, occasion: Occasion, record_kind: str) -> bool:
        """Whether all its places are filled in on an occasion, of a record of a kind."""
        return self.occasion == occasion and self.record_kind in ("", record_kind)


def standing(templates: Iterable[KnownTemplate], occasion: Occasion) -> KnownTemplate | None:
    """The template that stands in place of the ready-made text of an occasion: the first by name."""
    found = [one for one in templates if one.occasion == occasion != RULE_OCCASION and not one.deleted]
    return min(found, key=lambda one: (one.name.casefold(), one.id), default=None)


ValuesIn = Callable[[Language], Sequence[Filled]]
"""What stands in the places, for who reads a language."""


@dataclass(frozen=True)
class Words:
    """What is told on an occasion: by a template, where it says something in a language, else ready-made."""

    occasion: Occasion
    values: ValuesIn
    template: KnownTemplate | None = None
    ready_title: str = ""

    def title(self, language: Language) -> str:
        """One line, as long as one may be."""
        own = " ".join(filled(self._said("title", language), self.values(language)).split())
        line = own or self.ready_title or called(self.occasion, language)
        return line if len(line) <= TextField.longest else f"{line[: TextField.longest - 1]}…"

    def text(self, language: Language) -> str:
        """As the template says it; ready-made where that leaves nothing, since all its places are empty."""
        values = self.values(language)
        own = filled(self._said("text", language), values)
        return own if own.strip() else filled(sentence(self.occasion, language), values)

    def longest(self) -> int:
        """The most bytes that one reader is told."""
        return max(len(f"{self.title(language)}{self.text(language)}".encode()) for language in LANGUAGES)

    def _said(self, part: str, language: Language) -> str:
        said: Mapping[str, str] = self.template.said if self.template else {}
        return said.get(f"{part}_{language}", "")
