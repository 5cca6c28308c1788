"""HTTP as one person of the demo company speaks it: what gets no answer is said again under the same key.

A process that is killed and started again costs time and changes nothing: every command carries an Idempotency-Key, so
one whose answer was lost is answered again and not carried out twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from chassis.messaging.consistency import HEADER
from deploy.demo.errors import DemoError

T = TypeVar("T")

PATIENCE_SECONDS = 180.0
ANSWER_SECONDS = 60.0
MAX_ITEMS = 200


class Stopped(Exception):
    """Somebody else ended the demo."""


class Unwell(Exception):
    """The server, or the way to it, is not well just now: worth another attempt."""


@dataclass(frozen=True)
class Answer:
    """An answer, or one of a bulk's: its HTTP status and JSON body."""

    status: int
    body: dict[str, Any]

    @property
    def accepted(self) -> bool:
        return self.status < 400

    @property
    def code(self) -> str:
        """The error code of a refusal."""
        return str(self.body.get("code", ""))

    def required(self, what: str) -> dict[str, Any]:
        """The body.  Raises DemoError for a refusal."""
        if not self.accepted:
            raise DemoError(f"{what} was refused: {self.code} {self.body.get('detail', self.body)}")
        return self.body


@dataclass(frozen=True)
class Keyed:
    """A command of a bulk, with the key under which it is carried out once."""

    key: str
    command: dict[str, Any]


class Client:
    """One person's connection.  Not for several threads at once.

    `seen` is the consistency token of all that this client (or whoever it took it over from) caused: it goes with each
    command, so that the service which carries it out knows of that.  Queries ask for what is there now.
    """

    def __init__(self, address: str, name: str, token: Callable[[], str], stop: Event) -> None:
        self.name = name
        self._token = token
        self.seen = ""
        self._address = address
        self._stop = stop
        self._http = httpx.Client(
            base_url=address,
            headers={"Accept-Language": "en"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=5.0),
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **params: str | int | list[str]) -> Answer:
        """A query."""
        return self._patiently(partial(self._once, "GET", path, params=params))

    def command(self, method: str, path: str, body: dict[str, Any], *, key: str) -> Answer:
        """One command."""
        return self._patiently(partial(self._once, method, path, json=body, headers={"Idempotency-Key": key}))

    def bulk(self, name: str, items: Sequence[Keyed]) -> list[Answer]:
        """Many commands of one kind; an answer for each, in their order.  What the server could not do is repeated."""
        answers: dict[int, Answer] = {}

        def attempt() -> None:
            left = [index for index in range(len(items)) if index not in answers][:MAX_ITEMS]
            body = {"items": [{"command": items[at].command, "idempotency_key": items[at].key} for at in left]}
            done = self._once("POST", f"/bulk/{name}", json=body).required(f"/bulk/{name}")
            for index, result in zip(left, done["results"], strict=True):
                if result["status"] < 500:
                    answers[index] = Answer(result["status"], result["body"])
            if len(left) > sum(index in answers for index in left):
                raise Unwell(f"/bulk/{name} was done in part")

        while len(answers) < len(items):
            self._patiently(attempt)
        return [answers[index] for index in range(len(items))]

    def _once(self, method: str, path: str, **content: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self._token()}", **content.pop("headers", {})}
        if method != "GET" and self.seen:
            headers = {**headers, HEADER: self.seen}
        response = self._http.request(method, path, headers=headers, **content)
        if response.status_code >= 500:
            raise Unwell(f"{method} {path}: {response.status_code} {response.text[:300]}")
        if method != "GET":
            self.seen = response.headers.get(HEADER, self.seen)
        return Answer(response.status_code, response.json())

    def _patiently(self, attempt: Callable[[], T]) -> T:
        retrying = Retrying(
            retry=retry_if_exception_type((httpx.TransportError, Unwell)),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            stop=stop_after_delay(PATIENCE_SECONDS) | stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            retry_error_callback=self._give_up,
        )
        if self._stop.is_set():
            raise Stopped
        return retrying(attempt)

    def _give_up(self, state: RetryCallState) -> None:
        if self._stop.is_set():
            raise Stopped
        error = state.outcome and state.outcome.exception()
        raise DemoError(f"{self._address} has not done its work for {PATIENCE_SECONDS:.0f} s; at last: {error!r}")
