"""What happened in a run, line by line; two runs are the same if their digests are."""

from hashlib import blake2b
from typing import TextIO


class Trace:
    """Numbers the steps of a run, hashes them, and writes them to `out` if there is one."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out
        self._hash = blake2b(digest_size=16)
        self.steps = 0

    def note(self, now: float, who: str, what: str) -> None:
        self.steps += 1
        line = f"{self.steps:6} {now:10.4f} {who}: {what}"
        self._hash.update(line.encode())
        if self._out is not None:
            print(line, file=self._out)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
