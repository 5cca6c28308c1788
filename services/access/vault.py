"""Where secrets become something that may be stored: hashes of passwords, marks of codes and tokens, sealed keys.

A mark is keyed (HMAC): who only has the store can't find a code of six digits by trying all of them.  The master key
lies beside the signing key, in `access.key`.
"""

import hmac
import secrets
import string
from base64 import urlsafe_b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import argon2
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chassis.foundation.config import Config
from chassis.foundation.private_files import make_key, read_key
from contracts.text import key

KEY_BYTES = 32
SIGNATURE_CHARACTERS = 32  # 128 bits
COMPOSED: Literal["NFC"] = "NFC"  # one keyboard sends an umlaut as one character, another as two
CODE_DIGITS = 6
RECOVERY_CODES = 10
RECOVERY_ALPHABET = string.ascii_lowercase + string.digits


def new_hasher() -> argon2.PasswordHasher:
    """argon2id with what OWASP asks for at least: 19 MiB, two passes, one lane."""
    return argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


_hasher = new_hasher()


@cache
def nobodys_hash() -> str:
    """What the password of a name that belongs to nobody is compared with: it takes as long as a real one."""
    return _hasher.hash(secrets.token_urlsafe(16))


def hash_password(password: str) -> str:
    """The argon2id hash of a password, however its letters were composed.  Slow on purpose."""
    return _hasher.hash(normalize(COMPOSED, password))


def matches(password: str, stored_hash: str) -> bool:
    """Whether it is the password; takes as long when there is no hash to compare with.  Slow on purpose.

    Former releases hashed it as it was sent.
    """
    return any(_verifies(one, stored_hash) for one in dict.fromkeys((normalize(COMPOSED, password), password)))


def _verifies(password: str, stored_hash: str) -> bool:
    try:
        return _hasher.verify(stored_hash or nobodys_hash(), password) and bool(stored_hash)
    except (argon2.exceptions.VerifyMismatchError, argon2.exceptions.InvalidHashError):
        return False


def new_code() -> str:
    """A code of six digits (SEC-05)."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


def new_token() -> str:
    """A secret nobody can guess: 256 bits."""
    return secrets.token_urlsafe(32)


def typed(code: str) -> str:
    """A code as it was told, however somebody types it: blanks and dashes, letter case and width don't count."""
    return "".join(one for one in key(code) if one.isalnum())


def new_recovery_codes() -> list[str]:
    """Ten codes of ten characters (SEC-06): 51 bits each."""
    return ["".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(10)) for _ in range(RECOVERY_CODES)]


class Unreadable(Exception):
    """What was sealed can't be read: it was sealed with another `access.key`, or it is damaged."""


class Vault:
    """Marks and sealed keys, made with the access service's master key."""

    def __init__(self, master: bytes) -> None:
        self._marks = _derived(master, b"marks")
        self._seal = Fernet(urlsafe_b64encode(_derived(master, b"seal")))

    @classmethod
    def of(cls, config: Config) -> "Vault":
        """The vault of an installation; its key is made when there is none."""
        return _vault(Path(config.token_key_dir) / "access.key")

    def mark(self, purpose: str, *parts: str) -> str:
        """What is stored instead of a code or token."""
        return hmac.new(self._marks, "\x1f".join([purpose, *parts]).encode(), sha256).hexdigest()

    def sign(self, text: str, purpose: str, *parts: str) -> str:
        """A text that shows it is ours: whoever makes one up is told from who holds an old one."""
        return f"{text}.{self.mark(purpose, *parts, text)[:SIGNATURE_CHARACTERS]}"

    def has_signed(self, signed: str, purpose: str, *parts: str) -> bool:
        """Whether `sign` made this text, for the same purpose and parts."""
        text, _, _ = signed.rpartition(".")
        return hmac.compare_digest(self.sign(text, purpose, *parts).encode(), signed.encode())

    def seal(self, secret: str) -> str:
        return self._seal.encrypt(secret.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """What `seal` was given.  Raises Unreadable for what this vault has not sealed."""
        try:
            return self._seal.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise Unreadable("It was sealed with another access.key, or is damaged.") from error


@cache
def _vault(path: Path) -> Vault:
    make_key(path, lambda: secrets.token_bytes(KEY_BYTES))
    return Vault(read_key(path, shortest=KEY_BYTES))


def _derived(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(master)
