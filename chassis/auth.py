"""Who calls: signed, expiring bearer tokens (EdDSA JWT) and the principal they name.

The access service issues tokens; until it exists `salestream token` does.  Every service verifies them itself with
the public key.  A verified token is remembered until it expires, so a busy caller costs one signature check.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.config import Config, ConfigError
from chassis.domain import Context
from contracts.errors import Refused
from contracts.people import Person
from contracts.permissions import ROLES, may

ALGORITHM = "EdDSA"
LEEWAY_SECONDS = 5
REMEMBERED = 10_000


@dataclass(frozen=True)
class Principal:
    """A caller: user id (None for Salestream itself), name, roles and the superior's id."""

    user_id: UUID | None
    name: str
    roles: frozenset[str]
    superior_id: UUID | None = None

    def may(self, right: str) -> bool:
        return may(self.roles, right)

    def require(self, right: str) -> None:
        """Raises Refused FORBIDDEN unless the caller holds the right (SEC-16)."""
        if not self.may(right):
            raise Refused("FORBIDDEN", f"Your roles do not hold the right {right}.", state=right)

    def context(self, now: datetime, today: date) -> Context:
        return Context(Person(user_id=self.user_id, name=self.name), self.roles, now, today, self.superior_id)


SYSTEM = Principal(None, "Salestream", frozenset({"SYSTEM"}))


def key_pair(folder: Path) -> tuple[Path, Path]:
    """The signing key pair of a development installation; made when it does not exist."""
    private, public = folder / "token.key", folder / "token.pub"
    if not private.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = Ed25519PrivateKey.generate()
        private.touch(mode=0o600)
        private.write_bytes(
            made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        public.write_bytes(
            made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    return private, public


def issue(config: Config, principal: Principal, *, seconds: int = 900) -> str:
    """Sign a token for `principal`.  Raises ConfigError for a role that does not exist."""
    if unknown := principal.roles - set(ROLES):
        raise ConfigError(f"unknown roles {', '.join(sorted(unknown))}; there are {', '.join(ROLES)}")
    private, _ = key_pair(Path(config.token_key_dir))
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": config.token_issuer,
        "aud": config.token_audience,
        "sub": str(principal.user_id),
        "name": principal.name,
        "roles": sorted(principal.roles),
        "iat": now,
        "exp": now + seconds,
    }
    if principal.superior_id:
        claims["superior"] = str(principal.superior_id)
    return jwt.encode(claims, private.read_bytes(), algorithm=ALGORITHM)


class TokenVerifier:
    """Verifies bearer tokens with the public key."""

    def __init__(self, config: Config) -> None:
        self._config = config
        _, public = key_pair(Path(config.token_key_dir))
        if not public.exists():
            raise ConfigError(f"{public} is missing: put the access service's public key there")
        self._key = public.read_bytes()
        self._remembered: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    def verify(self, authorization: str | None) -> Principal:
        """The principal of an Authorization header.  Raises Refused UNAUTHENTICATED."""
        if not authorization:
            raise Refused("UNAUTHENTICATED", "Send a token: Authorization: Bearer <token>.", field="Authorization")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused("UNAUTHENTICATED", "The scheme must be Bearer.", field="Authorization")
        held = self._remembered.get(token)
        if held and held[0] > time.time():
            return held[1]
        expires, principal = self._check(token)
        self._remembered[token] = (expires, principal)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return principal

    def _check(self, token: str) -> tuple[float, Principal]:
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=self._config.token_audience,
                issuer=self._config.token_issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
            roles = frozenset(claims.get("roles", ()))
            if not roles <= set(ROLES) or "SYSTEM" in roles:
                raise ValueError("roles")
            superior = claims.get("superior")
            principal = Principal(
                UUID(claims["sub"]), str(claims.get("name", "")), roles, UUID(superior) if superior else None
            )
        except jwt.ExpiredSignatureError as error:
            raise Refused("UNAUTHENTICATED", "The token has expired: sign in again.", field="Authorization") from error
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise Refused("UNAUTHENTICATED", "The token is not valid.", field="Authorization") from error
        return float(claims["exp"]) + LEEWAY_SECONDS, principal
