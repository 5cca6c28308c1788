"""The keys of persons that a process knows."""

import base64
import binascii
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.personal import NONCE_BYTES, SEALED, Damaged, Destroyed, KeysAway, KeyTaken, OfAnother

KEY_BITS = 256
KEY_BYTES = KEY_BITS // 8
KEYS_KEPT = 5_000
"""So many keys a process holds at once, some 1.5 kB each with the texts it has just sealed and opened."""
TEXTS_KEPT = 8
LOOKED_UP_EVERY = 15.0
"""Seconds after which a key is looked up again: so long a process may read on after another one destroyed it."""


class KeyStore(Protocol):
    """Where the keys are kept, each by itself: KEY_BYTES, and after them what sort of record it was made for."""

    def any(self) -> Sequence[UUID]:
        """A person who has a key; none while nobody has."""

    def find(self, persons: Sequence[UUID]) -> Mapping[UUID, bytes | None]:
        """The keys of these persons; None for one that was destroyed, nothing for one that never was."""

    def add(self, keys: Mapping[UUID, bytes]) -> Mapping[UUID, bytes | None]:
        """Keep keys, durably, of persons that have none; returns what is kept of all of them."""

    def destroy(self, person: UUID) -> bool:
        """Destroy a key for good; returns whether there was one."""

    def close(self) -> None: ...


class PersonCipher:
    """Seals and opens with one key (`contracts.personal.Cipher`).

    The same text of the same field is sealed alike for a while: an order's events repeat the customer, and a nonce may
    come again with what it was used for.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._sealed: dict[tuple[str, str], str] = {}
        self._opened: dict[tuple[str, str], str] = {}

    def seal(self, text: str, name: str) -> str:
        found = self._sealed.get((text, name))
        if found is None:
            nonce = os.urandom(NONCE_BYTES)
            octets = nonce + self._cipher.encrypt(nonce, text.encode(), name.encode())
            found = SEALED + base64.urlsafe_b64encode(octets).decode().rstrip("=")
            _keep(self._sealed, (text, name), found)
        return found

    def open(self, text: str, name: str) -> str:
        found = self._opened.get((text, name))
        if found is None:
            found = self._open(text.removeprefix(SEALED), name)
            _keep(self._opened, (text, name), found)
        return found

    def _open(self, text: str, name: str) -> str:
        try:
            octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return self._cipher.decrypt(octets[:NONCE_BYTES], octets[NONCE_BYTES:], name.encode()).decode()
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise Damaged(f"{name} is not what was sealed with the key of its person") from error


def _keep(texts: dict[tuple[str, str], str], place: tuple[str, str], text: str) -> None:
    if len(texts) >= TEXTS_KEPT:
        texts.clear()
    texts[place] = text


@dataclass(slots=True)
class _Known:
    cipher: PersonCipher | None  # None: destroyed
    whose: str  # "": of any sort
    looked_up: float


@dataclass
class KeyRing:
    """The keys that a process knows (`contracts.personal.Keys`).  Thread-safe.

    `opens` opens where they are kept, when the first is needed.  A new key is kept before what was sealed with it:
    whoever stores something calls `settle` first.
    """

    opens: Callable[[], KeyStore]
    ticks: Callable[[], float] = time.monotonic
    _known: "OrderedDict[UUID, _Known]" = field(default_factory=OrderedDict)
    _fresh: dict[UUID, bytes] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @cached_property
    def store(self) -> KeyStore:
        return self.opens()

    def open_now(self) -> None:
        """Open where they are kept before the first is needed: before the stores that hold what they sealed."""
        _ = self.store

    def sealing(self, person: UUID, whose: str = "") -> PersonCipher:
        """The key of a person, made if there is none yet.  Raises Destroyed, and OfAnother for one of another sort."""
        with self._lock:
            known = self._find(person)
            if known is None:
                key = AESGCM.generate_key(KEY_BITS) + whose.encode()
                self._fresh[person] = key
                known = self._remember(person, key)
            if known.cipher is None:
                raise Destroyed(f"the key of {person} was destroyed")
            if whose and known.whose and whose != known.whose:
                raise OfAnother(f"{person} is a {known.whose}")
            return known.cipher

    def opening(self, person: UUID) -> PersonCipher | None:
        """The key of a person; None when it was destroyed.  Raises Damaged where there never was one."""
        with self._lock:
            known = self._find(person)
            if known is None:
                raise Damaged(f"there is no key of {person}")
            return known.cipher

    def settle(self) -> None:
        """Keep the keys that were made: nothing that was sealed with them is stored before.

        Raises KeyTaken when another process has made one for the same person meanwhile.
        """
        with self._lock:
            fresh = dict(self._fresh)
        if not fresh:
            return
        kept = self.store.add(fresh)  # who else stores what is sealed with them keeps them too, until they are kept
        with self._lock:
            other = [person for person, key in fresh.items() if kept.get(person) != key]
            for person in fresh:
                self._fresh.pop(person, None)
            for person in other:
                self._known.pop(person, None)
        if other:
            raise KeyTaken(f"another process has made a key for {other[0]} meanwhile")

    def destroy(self, person: UUID) -> bool:
        """Destroy the key of a person for good; other processes read on for LOOKED_UP_EVERY at most.

        Returns whether there was one; of whom nothing was ever known nothing is kept either.
        """
        with self._lock:
            self._fresh.pop(person, None)
            if person not in self._kept(person):
                return False
            found = self.store.destroy(person)
            self._known.pop(person, None)
            return found

    def is_known(self, person: UUID) -> bool:
        """Whether there is a key of a person, or was one."""
        return person in self._kept(person)

    def exported(self, person: UUID) -> bytes | None:
        """The key itself, for who may read persons from the topics; None when it was destroyed.

        Raises Damaged where there never was one.
        """
        found = self._kept(person)
        if person not in found:
            raise Damaged(f"there is no key of {person}")
        key = found[person]
        return None if key is None else key[:KEY_BYTES]

    def close(self) -> None:
        if "store" in self.__dict__:
            self.store.close()

    def _find(self, person: UUID) -> _Known | None:
        known = self._known.get(person)
        if known is not None and (person in self._fresh or self.ticks() - known.looked_up < LOOKED_UP_EVERY):
            self._known.move_to_end(person)
            return known
        found = self._kept(person)
        if person not in found:
            return None
        key = found[person]
        if known is not None and known.cipher is not None and key is not None:
            known.looked_up = self.ticks()
            return known
        return self._remember(person, key)

    def _kept(self, person: UUID) -> Mapping[UUID, bytes | None]:
        """What is kept of a person.  Raises KeysAway, also where the keys are not those of this installation."""
        try:
            return self.store.find([person])
        except Exception as error:
            raise KeysAway(f"the keys of persons can't be read: {error}") from error

    def _remember(self, person: UUID, key: bytes | None) -> _Known:
        whose = "" if key is None else key[KEY_BYTES:].decode()
        cipher = None if key is None else PersonCipher(key[:KEY_BYTES])
        known = self._known[person] = _Known(cipher, whose, self.ticks())
        while len(self._known) > KEYS_KEPT + len(self._fresh):
            oldest = next(one for one in self._known if one not in self._fresh)
            del self._known[oldest]
        return known
