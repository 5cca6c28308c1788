"""Answers of queries are compressed for clients that take that: rows of a list shrink to a quarter.

Only answers of queries: nothing of a request stands in them, so whoever makes a browser ask can't learn what they hold
by their length (BREACH).  Answers to commands tell tokens, codes and what was sent, and stay as they are; so do files,
which may be long, and are written aside.
"""

import zlib
from dataclasses import replace
from functools import lru_cache

from werkzeug.http import parse_accept_header

from chassis.http.messages import JSON, HttpRequest, HttpResponse, Serve

SHORTEST = 1_024
"""Bytes: what is shorter fits into one packet anyway."""
LEVEL = 3
"""Twenty rows take 0.1 ms, two hundred 0.4: higher levels take twice as long for a tenth less."""
GZIP = 16 + zlib.MAX_WBITS
HEADERS = {"Content-Encoding": "gzip"}
VARIES = {"Vary": "Accept-Encoding"}


def compressing(serve: Serve) -> Serve:
    """What serves a query, its answer compressed for who takes that."""

    def compressed(http: HttpRequest) -> HttpResponse:
        response = serve(http)
        if response.status != 200 or response.file or response.content_type != JSON or len(response.body) < SHORTEST:
            return response
        if not takes_gzip(http.headers.get("accept-encoding", "")):
            return replace(response, headers={**response.headers, **VARIES})
        body = zlib.compress(response.body, LEVEL, wbits=GZIP)
        return replace(response, body=body, headers={**response.headers, **VARIES, **HEADERS})

    return compressed


@lru_cache(256)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether a client says that it takes gzip."""
    return parse_accept_header(accept_encoding)["gzip"] > 0
