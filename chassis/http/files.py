"""Files over HTTP: received piece by piece as the body of a request, and sent so that no browser runs them."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import quote
from uuid import UUID

import structlog

from chassis.files.opening import incoming
from chassis.files.port import FileContent, FileStore, NoSuchFile
from chassis.files.receiving import Received, received
from chassis.foundation.config import Config
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.requests import require_plain
from chassis.model.middleware import Offload
from contracts.errors import Refused

log = structlog.get_logger()

AT_ONCE = 3
"""Files that one caller sends at the same time."""
SHOWN_AS_THEY_ARE = frozenset({"application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp"})
"""Media types that can't hold a script which a browser runs for our pages; all else is octets."""
OCTETS = "application/octet-stream"
_NOT_PLAIN = re.compile(r"[^ !#$&+.0-9A-Z^_`a-z{}~()\[\]=,;@-]")


class Files:
    """The files of a process: receives them, hands them to the store, and sends them.

    `aside` runs what waits for a disk or for another server.
    """

    def __init__(self, config: Config, store: FileStore, aside: Offload) -> None:
        self.store = store
        self._config = config
        self._aside = aside
        self._sending: Counter[object] = Counter()  # without a lock: nothing between looking and counting waits

    @contextmanager
    def receive(self, http: HttpRequest, caller: object) -> Iterator[Received]:
        """The body as a local file, for as long as this lasts.

        Raises Refused: TOO_LARGE, FILE_TYPE, RATE_LIMITED, UNAVAILABLE, and VALIDATION for none, or a form.
        """
        require_plain(http)
        if http.headers.get("content-type", "").lower().startswith("multipart/"):
            raise Refused("files.multipart", field="Content-Type")
        if self._sending[caller] >= AT_ONCE:
            raise Refused("files.busy", most=AT_ONCE)
        self._sending[caller] += 1
        try:
            with (
                closing(http.stream(self._config.max_file_bytes)) as pieces,
                received(pieces, incoming(self._config), self._config.file_types) as file,
            ):
                yield file
        finally:
            self._sending[caller] -= 1
            if not self._sending[caller]:
                del self._sending[caller]

    def keep(self, id: UUID, file: Received) -> None:
        """Raises Refused UNAVAILABLE."""
        with _reachable():
            self._aside(self.store.keep, id, file.path)

    def send(self, id: UUID, name: str, media_type: str) -> HttpResponse:
        """The file as something to save under its name.  Raises Refused NOT_FOUND, UNAVAILABLE."""
        with _reachable():
            content: FileContent = self._aside(self.store.open, id)
        headers = {
            "Content-Disposition": disposition(name),
            "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        }
        shown = media_type if media_type in SHOWN_AS_THEY_ARE else OCTETS
        return HttpResponse(200, b"", headers, shown, file=content)


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except NoSuchFile as error:
        raise Refused("files.gone") from error
    except OSError as error:
        log.error("the store of files can't be used", error=repr(error))
        raise Refused("files.away") from error


def disposition(name: str) -> str:
    """Content-Disposition for a file to be saved under this name, whatever it is written in (RFC 6266, RFC 8187)."""
    plain = _NOT_PLAIN.sub("_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
