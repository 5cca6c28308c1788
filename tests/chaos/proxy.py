"""A TCP proxy that breaks connections, and stops the world at a named message.

Why not Toxiproxy: it delays, cuts and swallows bytes too, but it does not look into them.  A fault "killed between
the commit and its reply" needs a proxy that recognises that very message, lets it through, holds the answer back and
says so; then the process is killed and the moment is proven to have been hit, without a hook in production code.

One thread runs all connections of a proxy (asyncio).  Kafka's and MongoDB's messages are told apart by their length
prefix, and an answer belongs to a request by its number; PostgreSQL's protocol is strictly question and answer.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

import zstandard

from chassis.foundation.compression import EDITION, EXAMPLES

HOST = "127.0.0.1"
CHUNK = 1 << 18
RST = struct.pack("ii", 1, 0)
PROMPTLY = 60.0
REMEMBERED = 4096

Point = Literal["before", "sent", "after"]
"""Where to stop: the request is held back, is just sent, or is answered and the answer is held back."""


class Wire(Protocol):
    """How messages of a wire protocol are told apart and paired."""

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Whole messages, and the rest."""

    def request_id(self, message: bytes) -> int: ...

    def reply_id(self, message: bytes) -> int: ...


class KafkaWire:
    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        return _by_length(data, ">i", 4)

    def request_id(self, message: bytes) -> int:
        return int(struct.unpack_from(">i", message, 8)[0])

    def reply_id(self, message: bytes) -> int:
        return int(struct.unpack_from(">i", message, 4)[0])


class MongoWire:
    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        return _by_length(data, "<i", 0)

    def request_id(self, message: bytes) -> int:
        return int(struct.unpack_from("<i", message, 4)[0])

    def reply_id(self, message: bytes) -> int:
        return int(struct.unpack_from("<i", message, 8)[0])


class PostgresWire:
    """As it comes: a client waits for the answer before it asks again, so any answer belongs to the last request."""

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        return [data], b""

    def request_id(self, message: bytes) -> int:
        return 0

    def reply_id(self, message: bytes) -> int:
        return 0


def _by_length(data: bytes, form: str, more: int) -> tuple[list[bytes], bytes]:
    found = []
    while len(data) >= 4:
        length = struct.unpack_from(form, data)[0] + more
        if len(data) < length:
            break
        found.append(data[:length])
        data = data[length:]
    return found, data


@dataclass(eq=False)
class Trap:
    """Waits for a message and stops its connection there.

    `marker`: the message, or an earlier one of the same connection, holds it.  `then`: the message itself holds it.
    """

    marker: Callable[[bytes], bool]
    then: Callable[[bytes], bool]
    at: Point
    hit: threading.Event = field(default_factory=threading.Event)
    marked: set[int] = field(default_factory=set)
    link: _Link | None = None
    request: int = 0
    held: bytes = b""
    resolved: asyncio.Event = field(default_factory=asyncio.Event)
    outcome: Literal["release", "cut"] = "cut"

    def wait(self, seconds: float = PROMPTLY) -> None:
        """Return when the message is there and held.  Raises AssertionError when it does not come."""
        assert self.hit.wait(seconds), f"the message to stop at has not passed within {seconds:.0f} s"

    def sees(self, link: _Link, message: bytes) -> bool:
        if self.marker(message):
            self.marked.add(id(link))
        return id(link) in self.marked and self.then(message)

    def spring(self, held: bytes) -> None:
        self.held = held
        self.hit.set()


@dataclass(eq=False)
class _Link:
    """One client's connection and ours to the server."""

    to_client: asyncio.StreamWriter
    to_server: asyncio.StreamWriter
    swallowed: bool = False
    last: bytes = b""

    def cut(self) -> None:
        """Reset both sides."""
        for writer in (self.to_client, self.to_server):
            with suppress(OSError):
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            writer.transport.abort()


class Proxy:
    """Forwards a port to a server's, until told to misbehave."""

    def __init__(self, port: int, target: int, wire: Wire) -> None:
        self.port = port
        self._target = target
        self._wire = wire
        self._links: set[_Link] = set()
        self._traps: list[Trap] = []
        self._counted: dict[bytes, list[bytes]] = {}
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}", daemon=True)

    def start(self) -> None:
        self._thread.start()

        async def listen() -> None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)

        asyncio.run_coroutine_threadsafe(listen(), self._loop).result(10)

    def stop(self) -> None:
        self.cut()

        async def close() -> None:
            if self._server:
                self._server.close()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # -- faults

    def cut(self) -> None:
        """Reset every connection there is."""

        def act() -> None:
            for link in list(self._links):
                link.cut()

        self._do(act)

    def half_open(self, last: bytes = b"") -> int:
        """What is connected now is lost without a word: nothing arrives any more, on either side.

        `last`: only connections whose last request holds this.  Returns how many are lost.
        """
        lost = [link for link in list(self._links) if last in link.last]

        def act() -> None:
            for link in lost:
                link.swallowed = True

        self._do(act)
        return len(lost)

    @contextmanager
    def counting(self, text: bytes) -> Iterator[list[bytes]]:
        """The answers that hold this text, as they pass during the block."""
        counted: list[bytes] = []
        self._counted[text] = counted
        try:
            yield counted
        finally:
            del self._counted[text]

    @contextmanager
    def trap(self, marker: Marker, *, then: Marker | None = None, at: Point) -> Iterator[Trap]:
        """Stop at a message; whatever is held at the end of the block is lost with its connection.

        `then`: stop only at a later message (or the same) of the connection that had `marker`.
        """
        marks = marker if callable(marker) else contains(marker)
        if then is None:
            follows: Callable[[bytes], bool] = marks
        else:
            follows = then if callable(then) else contains(then)
        made = Trap(marks, follows, at)
        self._do(lambda: self._traps.append(made))
        try:
            yield made
        finally:
            self.resolve(made, "cut")

    def resolve(self, trap: Trap, outcome: Literal["release", "cut"]) -> None:
        """Let what is held go on its way, or lose it."""

        def act() -> None:
            if trap in self._traps:
                self._traps.remove(trap)
                trap.outcome = outcome
                trap.resolved.set()
                if outcome == "cut" and trap.link is not None:
                    trap.link.cut()

        self._do(act)

    def _do(self, act: Callable[[], object]) -> None:
        async def run() -> None:
            act()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    # -- connections

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.transport.abort()
            return
        for one in (writer, to_server):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(writer, to_server)
        self._links.add(link)
        try:
            await asyncio.gather(self._requests(link, reader), self._replies(link, from_server))
        except OSError:
            link.cut()
        finally:
            link.cut()
            self._links.discard(link)

    async def _requests(self, link: _Link, reader: asyncio.StreamReader) -> None:
        rest = b""
        while data := await reader.read(CHUNK):
            messages, rest = self._wire.split(rest + data)
            for message in messages:
                if not link.swallowed:
                    await self._request(link, message)
        link.cut()

    async def _replies(self, link: _Link, reader: asyncio.StreamReader) -> None:
        rest = b""
        while data := await reader.read(CHUNK):
            messages, rest = self._wire.split(rest + data)
            for message in messages:
                if not link.swallowed:
                    await self._reply(link, message)
        link.cut()

    async def _request(self, link: _Link, message: bytes) -> None:
        trap = next((t for t in self._traps if t.link is None and t.sees(link, message)), None)
        if trap is not None:
            trap.link, trap.request = link, self._wire.request_id(message)
            if trap.at == "before":
                trap.spring(message)
                await trap.resolved.wait()
                if trap.outcome == "cut":
                    return
        link.last = message[:REMEMBERED]
        link.to_server.write(message)
        await link.to_server.drain()
        if trap is not None and trap.at == "sent":
            trap.spring(b"")

    async def _reply(self, link: _Link, message: bytes) -> None:
        for text, found in list(self._counted.items()):
            if text in message:
                found.append(message)
        trap = next((t for t in self._traps if t.link is link and t.at != "before"), None)
        if trap is not None and self._wire.reply_id(message) == trap.request:
            trap.spring(message)
            await trap.resolved.wait()
            if trap.outcome == "cut":
                return
        link.to_client.write(message)
        await link.to_client.drain()


Marker = bytes | Callable[[bytes], bool]


def contains(text: bytes) -> Callable[[bytes], bool]:
    """Whether a message holds a text: as it is, in PostgreSQL's hexadecimal form, or in what is packed for a store."""
    as_hex = text.hex().encode()
    return lambda message: text in message or as_hex in message or any(text in part for part in _unpacked(message))


def _unpacked(message: bytes) -> Iterator[bytes]:
    """What was packed for a store (`chassis.foundation.compression`) and stands somewhere in a message."""
    examples = zstandard.ZstdCompressionDict(EXAMPLES, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    begins = EDITION + zstandard.FRAME_HEADER
    for parts in (message.split(begins), map(_from_hex, message.split(begins.hex().encode()))):
        for part in list(parts)[1:]:
            with suppress(zstandard.ZstdError):  # it only looks like one
                yield (
                    zstandard.ZstdDecompressor(dict_data=examples)
                    .decompressobj()
                    .decompress(zstandard.FRAME_HEADER + part)
                )


def _from_hex(text: bytes) -> bytes:
    """The octets that a text begins with, two digits each."""
    digits = re.match(rb"(?:[0-9a-f]{2})*", text)
    return bytes.fromhex(digits[0].decode()) if digits else b""
