"""Logging that never fails whoever logs: one JSON object a line, on standard output.

On a full disk or a closed pipe a line is lost, counted (`salestream_log_lines_lost_total`), and told of as soon as
writing works again.  What libraries print, trace or log goes the same way: standard output and error are replaced.
"""

import io
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import msgspec
import structlog

from chassis.foundation import metrics

CALLS = ("debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "msg", "log")
_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class SurvivingStream(io.TextIOBase):
    """A text stream onto a file descriptor, unbuffered, whose `write` never raises."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lost = 0
        self._is_torn = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Write at once; what can't be written is counted and dropped."""
        if text and not (self._tell_of_loss() and self._put(text)):
            self._lost += 1
            metrics.LOG_LINES_LOST.inc()
        return len(text)

    def _tell_of_loss(self) -> bool:
        """Whether nothing was lost, or that was told now."""
        if self._lost:
            line = {"event": "log lines were lost", "level": "error", "lines": self._lost, "timestamp": _now()}
            if not self._put(msgspec.json.encode(line).decode() + "\n"):
                return False
            self._lost = 0
        return True

    def _put(self, text: str) -> bool:
        """Whether the whole text was written; the rest of one that was cut off is lost, its line ends all the same."""
        data = (b"\n" if self._is_torn else b"") + text.encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
                self._is_torn = bool(data)
        except OSError:
            return False
        return True


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def never_failing(base: type[Any]) -> type[Any]:
    """The class of structlog loggers whose calls never raise, whatever they are given."""

    def surviving(call: Callable[..., Any]) -> Callable[..., Any]:
        def survive(*arguments: Any, **named: Any) -> None:
            try:
                call(*arguments, **named)
            except Exception as error:
                metrics.LOG_LINES_LOST.inc()
                with suppress(Exception):  # nothing is left to tell it with
                    sys.stderr.write(f"a log line could not be made: {error!r}\n")

        return survive

    return type("NeverFailing", (base,), {name: surviving(getattr(base, name)) for name in CALLS})


def configure_logging(level: str) -> None:
    """Send what structlog, the standard library's logging and `print` say to standard output and error."""
    sys.stdout, sys.stderr = _surviving(sys.stdout), _surviving(sys.stderr)
    structlog.configure(
        processors=[*_SHARED, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=never_failing(structlog.make_filtering_bound_logger(logging.getLevelName(level))),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings tell addresses: that of a robot is its password
    logging.raiseExceptions = False  # a handler that fails says so nowhere: standard error has failed


def _surviving(stream: TextIO | None) -> TextIO:
    """The stream as one that survives; what is no file (a test's stand-in) stays as it is."""
    if stream is None:  # closed before we started: its number may become that of any file
        return open(os.devnull, "w")
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return stream
    with suppress(OSError):
        stream.flush()
    return cast(TextIO, SurvivingStream(descriptor))
