"""What are people told in our own words, and how does that read?  (CFG-10)"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from chassis.model.record_views import More, view_of
from contracts.languages import LANGUAGES, Language
from contracts.notices import NoticeTemplate
from contracts.occasions import OCCASIONS, Filled, called, filled, sentence
from contracts.reasons import PLACE
from contracts.texts import texts


@dataclass
class PreviewColumns:
    """How a notice reads by the template in each language: title and text, with what its places are called in them."""

    preview_zh: str
    preview_ja: str
    preview_en: str


def preview(language: Language, row: Mapping[str, Any]) -> str:
    occasion = row.get("occasion") or OCCASIONS[0]
    title = row.get(f"title_{language}") or called(occasion, language)
    text = f"{title}\n{row.get(f'text_{language}') or sentence(occasion, language)}"
    return filled(text, [Filled(name=place, text=_called(place, language)) for place in PLACE.findall(text)])


def _called(place: str, language: Language) -> str:
    """What stands in a place while nothing is told: what such a value is called, in brackets."""
    known = texts("fields").get(place)
    return f"[{known.in_language(language) if known else place}]"


PREVIEWS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    f"preview_{language}": partial(preview, language) for language in LANGUAGES
}
VIEW = view_of(NoticeTemplate, More(PreviewColumns, first={}, told={}, computed=PREVIEWS))
