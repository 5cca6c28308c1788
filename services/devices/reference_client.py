"""What the client on a phone does, as a reference: enrol, contact, lock, keep sales data, and wipe it when told.

`send` carries a request: (method, path, body) -> the answer's JSON; it raises when there is no network.
"""

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

Send = Callable[[str, str, dict[str, Any]], dict[str, Any]]
Proof = Literal["PASSWORD", "FINGERPRINT", "FACE"]


class PhoneClient:
    """Company data on a phone lies in one folder, so that wiping it leaves everything else alone."""

    def __init__(self, folder: Path, send: Send, *, clock: Callable[[], datetime]) -> None:
        self.folder = folder
        self._send = send
        self._clock = clock
        self._used_at = clock()
        self._locked = False
        self.lock_minutes = 1
        self.device_id: UUID | None = None
        self._secret = ""

    def enrol(self, name: str, memory_gb: int, free_storage_gb: int, network: str = "WIFI") -> list[str]:
        """Enrol this phone; returns what its user should know (SEC-23, SEC-24)."""
        body = {"name": name, "memory_gb": memory_gb, "free_storage_gb": free_storage_gb, "network": network}
        told = self._send("POST", "/devices", body)
        self.device_id, self._secret = UUID(told["id"]), told["secret"]
        self.folder.mkdir(parents=True, exist_ok=True)
        return list(told["warnings"])

    def keep(self, name: str, content: bytes) -> None:
        """Keep sales data for use without a network."""
        (self.folder / name).write_bytes(content)

    def contact(self, apps: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        """Report, take over the policy, and wipe when told: first the data, then the word that it is gone (SEC-29).

        A phone that stops in between is told again at its next contact.
        """
        told = self._send("POST", f"/devices/{self.device_id}/contact", {"secret": self._secret, "apps": list(apps)})
        self.lock_minutes = told["lock_minutes"]
        if told["wipe"]:
            shutil.rmtree(self.folder, ignore_errors=False)
            self._send("POST", f"/devices/{self.device_id}/wiped", {"secret": self._secret})
        return told

    # -- the screen (SEC-27)

    def touch(self) -> None:
        """The user does something."""
        if not self.is_locked:
            self._used_at = self._clock()

    @property
    def is_locked(self) -> bool:
        self._locked = self._locked or self._clock() - self._used_at >= timedelta(minutes=self.lock_minutes)
        return self._locked

    def unlock(self, proof: Proof) -> None:
        """The phone's own password, fingerprint or face was right: the phone checks that, not this client."""
        self._locked = False
        self._used_at = self._clock()
