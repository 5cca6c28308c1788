"""Who calls: signed, expiring bearer tokens (EdDSA JWT) and the principal they name.

The access service issues tokens; every process verifies them itself with the public key the token's `kid` names.  A
verified token is remembered until it expires, so a busy caller costs one signature check.  A token only says who
calls: what they may do is asked of `chassis.access.directory`.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.foundation.config import Config, ConfigError
from chassis.foundation.private_files import make_key, private_folder, read_key
from chassis.model.principal import Principal
from contracts.errors import Refused
from contracts.permissions import NEVER_GIVEN, ROLES

ALGORITHM = "EdDSA"
ACCESS_SECONDS = 600
LEEWAY_SECONDS = 5
TOKENS_LIVE = timedelta(seconds=ACCESS_SECONDS + 2 * LEEWAY_SECONDS)
SHORTEST_PEM = 100
REMEMBERED = 10_000
LOOK_AGAIN_SECONDS = 1.0  # at least, between two looks for new keys: anybody may send tokens with made up ones


def key_pair(folder: Path) -> tuple[Path, Path]:
    """The signing key pair of a development installation; made when it does not exist."""
    private, public = folder / "token.key", folder / "token.pub"
    private_folder(folder)
    if not public.exists():  # who has the public key alone only verifies
        make_key(private, _new_signing_key)
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    return private, public


def _new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signing_key(private: Path) -> bytes:
    """The private key in PEM.  Raises ConfigError for one that can't be one, or that others can read."""
    return read_key(private, shortest=SHORTEST_PEM)


def public_keys(folder: Path) -> dict[str, bytes]:
    """Every public key of a key folder by its `kid`.  Raises ConfigError for a file that holds none."""
    found = {}
    for path in sorted(folder.glob("*.pub")):
        try:
            serialization.load_pem_public_key(key := path.read_bytes())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"{path} holds no public key: restore it, or take it away.") from error
        found[key_id(key)] = key
    return found


def key_id(public_key: bytes) -> str:
    """The `kid` of a public key in PEM."""
    return sha256(public_key.strip()).hexdigest()[:16]


def issue(config: Config, principal: Principal, *, seconds: int = ACCESS_SECONDS) -> str:
    """Sign a token for `principal`.

    A principal with a session, or a machine, is looked up in the directory by whoever gets the token.  One without is
    for tests: the token carries roles and superior itself.  Raises ConfigError for a role that does not exist.
    """
    private, public = key_pair(Path(config.token_key_dir))
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": config.token_issuer,
        "aud": config.token_audience,
        "sub": str(principal.user_id),
        "name": principal.name,
        "iat": now,
        "exp": now + seconds,
    }
    if principal.session_id or principal.machine:
        claims |= {"epoch": principal.epoch}
        claims |= {"machine": True} if principal.machine else {"sid": str(principal.session_id)}
        claims |= {"limited": True} if principal.limited else {}
        claims |= {"device": str(principal.device_id)} if principal.device_id else {}
    else:
        if unknown := principal.roles - set(ROLES):
            raise ConfigError(f"unknown roles {', '.join(sorted(unknown))}; there are {', '.join(ROLES)}")
        claims |= {"roles": sorted(principal.roles)}
        claims |= {"superior": str(principal.superior_id)} if principal.superior_id else {}
    return jwt.encode(claims, signing_key(private), algorithm=ALGORITHM, headers={"kid": key_id(public.read_bytes())})


class TokenVerifier:
    """Verifies bearer tokens with the public keys: every `*.pub` of the key folder, told apart by their `kid`."""

    def __init__(self, config: Config, *, ticks: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._ticks = ticks
        _, public = key_pair(Path(config.token_key_dir))
        if not public.exists():
            raise ConfigError(f"{public} is missing: put the access service's public key there")
        self._folder = public.parent
        self._keys = public_keys(self._folder)
        self._looked_at = ticks()
        self._remembered: OrderedDict[str, tuple[float, float, Principal]] = OrderedDict()
        """When each token expires, until when it is not checked again (by a clock nobody sets), and whose it is."""

    def verify(self, authorization: str | None) -> Principal:
        """The principal of an Authorization header.  Raises Refused UNAUTHENTICATED."""
        if not authorization:
            raise Refused("access.no_token", field="Authorization")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused("access.token_scheme", field="Authorization")
        held = self._remembered.get(token)
        if held and held[0] > time.time() and held[1] > self._ticks():
            return held[2]
        expires, principal = self._check(token)
        self._remembered[token] = (expires, self._ticks() + TOKENS_LIVE.total_seconds(), principal)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return principal

    def good_for(self, token: str) -> float:
        """For how many seconds a token is still good, by what it says itself; 0.0 for one that is not."""
        try:
            self.verify(f"Bearer {token}")
        except Refused:
            return 0.0
        return max(0.0, self._remembered[token][0] - LEEWAY_SECONDS - time.time())

    def _key(self, id: str) -> bytes:
        """The public key with this `kid`; one that is not known may have been put there since.  Raises KeyError."""
        if id not in self._keys and self._ticks() - self._looked_at >= LOOK_AGAIN_SECONDS:
            self._looked_at = self._ticks()
            with suppress(ConfigError, OSError):  # the keys that are known stay good
                self._keys = {**self._keys, **public_keys(self._folder)}
        return self._keys[id]

    def _check(self, token: str) -> tuple[float, Principal]:
        try:
            claims = jwt.decode(
                token,
                self._key(str(jwt.get_unverified_header(token).get("kid"))),
                algorithms=[ALGORITHM],
                audience=self._config.token_audience,
                issuer=self._config.token_issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
            principal = _claimed(claims)
        except jwt.ExpiredSignatureError as error:
            raise Refused("access.token_expired", field="Authorization") from error
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise Refused("access.token_invalid", field="Authorization") from error
        if not principal.needs_directory and not self._config.test_tokens:
            raise Refused("access.token_without_session", field="Authorization")
        return float(claims["exp"]) + LEEWAY_SECONDS, principal


def _claimed(claims: Mapping[str, Any]) -> Principal:
    """The principal that a token's claims name.  Raises KeyError, Value-, Type- or AttributeError for other claims."""
    user_id, name = UUID(claims["sub"]), str(claims.get("name", ""))
    if "sid" in claims or "machine" in claims:
        return Principal(
            user_id,
            name,
            frozenset(),
            session_id=UUID(claims["sid"]) if "sid" in claims else None,
            epoch=int(claims["epoch"]),
            limited=claims.get("limited") is True,
            machine=claims.get("machine") is True,
            device_id=UUID(claims["device"]) if "device" in claims else None,
        )
    roles = frozenset(claims["roles"])
    if not roles <= set(ROLES) or NEVER_GIVEN in roles:
        raise ValueError("roles")
    superior = claims.get("superior")
    return Principal(user_id, name, roles, UUID(superior) if superior else None)
