"""Reading a request: its body, parameters and headers."""

import re
from typing import Any

from chassis.http.bodies import read_object
from chassis.http.messages import JSON, HttpRequest
from chassis.queries.filters import require_value
from contracts.errors import Refused
from contracts.ids import canonical
from contracts.languages import LANGUAGES, Language
from contracts.reasons import Why
from contracts.schemas import told_name
from contracts.text import normal

_ETAG = re.compile(r'^(?:W/)?"([0-9]{1,18})"$')


def require_only(http: HttpRequest, *known: str) -> None:
    """Raises Refused VALIDATION for a query parameter other than the known ones, or without a value: nothing sent is
    ignored."""
    if unknown := set(http.query) - set(known):
        name = told_name(min(unknown)[:100])
        if known:
            raise Refused("requests.unknown_parameter", names=known, field=name)
        raise Refused("requests.no_parameters", field=name)
    for name, values in http.query.items():
        require_value(name, values)


def key_of(http: HttpRequest, *, is_id: bool = True) -> str:
    """The key of the one row that a path names, as it is stored: an id, or a name, which letter case tells apart."""
    text = next(iter(http.path.values()))
    return canonical(text) if is_id else normal(text)


def language_asked(http: HttpRequest) -> Language | None:
    """The first language of Accept-Language that there is."""
    for part in http.headers.get("accept-language", "")[:200].split(","):
        tag = part.partition(";")[0].partition("-")[0].strip().lower()
        if tag in LANGUAGES:
            return tag
    return None


def json_body(http: HttpRequest, awaited: Why | None = None) -> dict[str, Any]:
    """The body as a JSON object; {} when there is none, or nothing but blanks.

    Raises Refused, also for no body where one is `awaited`: that tells what should be in it.
    """
    require_plain(http)
    raw = http.body()
    if not raw.strip():
        if awaited:
            raise Refused.by(awaited, field="body")
        return {}
    kind = http.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind != JSON:
        raise Refused("requests.content_type", wanted=JSON, given=kind[:80], field="Content-Type")
    return read_object(raw)


def require_plain(http: HttpRequest) -> None:
    """Raises Refused VALIDATION for a body that is encoded: it would be taken for what it is not."""
    given = http.headers.get("content-encoding", "identity").strip().lower()
    if given not in ("", "identity"):
        raise Refused("requests.encoding", given=given[:80], field="Content-Encoding")


def expected_version(match: str | None) -> int | None:
    if match is None or match == "*":
        return None
    found = _ETAG.match(match.strip())
    if not found:
        raise Refused("requests.etag", field="If-Match")
    return int(found[1])
