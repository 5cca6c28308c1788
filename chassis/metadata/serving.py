"""Serving `GET /metadata`: made once for those who hold the same rights and ask in the same language."""

import gzip
from datetime import UTC
from functools import lru_cache
from typing import NamedTuple, cast

import msgspec

from chassis.http.compression import takes_gzip
from chassis.http.conditional import mark_of, unless_known
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.requests import require_only
from chassis.metadata.everything import Company, metadata
from chassis.metadata.forms import CompanyForm
from chassis.model.row_fields import FieldType
from chassis.model.wording import Wording
from chassis.queries.filters import one_of, single
from contracts.languages import LANGUAGES, Language
from contracts.permissions import OPEN, PASSWORD, RIGHTS
from contracts.records import KINDS

MADE = 256
"""So many answers are kept, compressed: of 20 kB each at most.  One takes 20 to 45 ms to make."""
CACHED = {"Cache-Control": "private, no-cache"}
"""A browser may keep it for its own user, and asks each time whether it still holds."""


class Made(NamedTuple):
    """An answer, compressed, and what tells it from another one."""

    packed: bytes
    mark: str


def serve_metadata(api: Api, http: HttpRequest) -> HttpResponse:
    """What a client must know to show Salestream to the caller (UIX-01); 304 where they know it already."""
    caller = api.caller(http, PASSWORD)
    require_only(http, "language")
    held = frozenset(right for right in (*RIGHTS, *OPEN) if caller.may(right))
    roles = tuple((row.role, row.title) for row in api.directory.roles())
    settings = api.directory.company
    forms = tuple(
        CompanyForm(kind.code, tuple(settings.custom_fields.of(kind.code)), settings.required(kind))
        for kind in KINDS.values()
    )
    company = Company(roles, api.directory.dictionaries.all(), forms, settings.language)
    made = _made(_language(api, http), held, company)
    headers = {**CACHED, "Vary": "Accept-Encoding, Accept-Language"}
    if takes_gzip(http.headers.get("accept-encoding", "")):
        answer = HttpResponse(200, made.packed, {**headers, "Content-Encoding": "gzip"})
    else:
        answer = HttpResponse(200, gzip.decompress(made.packed), headers)
    return unless_known(http, made.mark, answer)


def _language(api: Api, http: HttpRequest) -> Language:
    """The language that is asked for, or else that of the request or the company.  Raises Refused VALIDATION."""
    if "language" in http.query:
        value = single("language", http.query["language"])
        return cast(Language, one_of("language", FieldType("choice"), LANGUAGES, value, UTC))
    return api.language_of(http)


@lru_cache(MADE)
def _made(language: Language, held: frozenset[str], company: Company) -> Made:
    body = msgspec.json.encode(metadata(Wording(language, company.language), held.__contains__, company))
    return Made(gzip.compress(body, mtime=0), mark_of(body))
