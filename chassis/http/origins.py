"""Which web pages may use the API: other origins by a list (CORS); with cookies, by where a request comes from (CSRF).

A browser sends cookies whoever wrote the page.  A request that changes something and relies on cookies must therefore
show that a page of ours made it: by what the browser says of its origin or, where it says nothing, by a header that no
foreign page can set.
"""

import re
from collections.abc import Mapping

from chassis.foundation.config import Config, ConfigError
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.messaging.consistency import HEADER
from contracts.errors import Refused

SESSION_HEADER = "Salestream-Session"
REQUESTED_WITH = "X-Requested-With"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = "GET, POST, PUT, PATCH, DELETE"
TAKEN = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", HEADER, SESSION_HEADER,
    REQUESTED_WITH, "X-Correlation-Id", "traceparent",
)  # fmt: skip
TOLD = ("ETag", "Location", HEADER, "Retry-After", "RateLimit", "RateLimit-Policy", "Content-Disposition")
PREFLIGHT_SECONDS = 600
_ORIGIN = re.compile(r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")


class Origins:
    """The origins of `ALLOWED_ORIGINS`.  Raises ConfigError for one that is none; `*` is, with credentials, none."""

    def __init__(self, config: Config) -> None:
        self._allowed = frozenset(text.strip() for text in config.allowed_origins.split(",") if text.strip())
        self._schemes = ("https", "http") if config.plain_http else ("https",)
        for origin in sorted(self._allowed):
            if not _ORIGIN.match(origin):
                raise ConfigError(f"ALLOWED_ORIGINS: {origin!r} is no origin such as https://crm.example")

    def preflight(self, http: HttpRequest) -> HttpResponse | None:
        """The answer to a browser that asks before it sends; None when it is no such question or not allowed."""
        if http.method != "OPTIONS" or "access-control-request-method" not in http.headers:
            return None
        if http.headers.get("origin") not in self._allowed:
            return None
        headers = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": ", ".join(TAKEN),
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }
        return HttpResponse(204, headers=headers)

    def headers_for(self, http: HttpRequest) -> Mapping[str, str]:
        """What lets a page of an allowed origin read the answer."""
        origin = http.headers.get("origin")
        if origin is None or not self._allowed:
            return {}
        if origin not in self._allowed:
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": ", ".join(TOLD),
        }

    def require_ours(self, http: HttpRequest) -> None:
        """Raises Refused FORBIDDEN for a request with cookies that changes something and may be a foreign page's."""
        if http.method in SAFE:
            return
        origin, site = http.headers.get("origin"), http.headers.get("sec-fetch-site")
        if origin is not None:
            ours = self._is_own(origin, http.headers.get("host", "")) or origin in self._allowed
        elif site is not None:
            ours = site == "same-origin"
        else:
            ours = REQUESTED_WITH.lower() in http.headers
        if not ours:
            raise Refused("requests.other_site", header=REQUESTED_WITH, field="Origin", state="CROSS_SITE")

    def _is_own(self, origin: str, host: str) -> bool:
        return any(origin == f"{scheme}://{host}" for scheme in self._schemes)
