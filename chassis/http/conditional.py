"""Who knows an answer already is told so, and gets no body: ETag and If-None-Match (RFC 9110)."""

from dataclasses import replace
from hashlib import sha256

from werkzeug.http import parse_etags

from chassis.http.messages import HttpRequest, HttpResponse

LENGTH = 32


def mark_of(content: bytes) -> str:
    """What tells this content from another one."""
    return sha256(content).hexdigest()[:LENGTH]


def unless_known(http: HttpRequest, mark: str, response: HttpResponse) -> HttpResponse:
    """The answer with a weak ETag of its mark; 304 with the same headers for who names that in If-None-Match."""
    response = replace(response, headers={**response.headers, "ETag": f'W/"{mark}"'})
    if parse_etags(http.headers.get("if-none-match")).contains_weak(mark):
        return replace(response, status=304, body=b"")
    return response
