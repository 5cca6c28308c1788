"""Signed heads: where each chain ended at a moment, signed with the key that signs tokens.

A chain alone does not show that its end was cut off.  Whoever keeps a signed head elsewhere can tell.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt

from chassis.access.tokens import ALGORITHM, key_id, key_pair, public_keys, signing_key
from chassis.audit.chain import Chain
from chassis.foundation.config import Config, ConfigError

RETIRED = "retired"  # the folder of public keys that verify old heads and no token
AUDIENCE = "salestream-audit-heads"  # no token: an api takes other audiences only


def sign_heads(config: Config, chains: Mapping[str, Chain], at: datetime) -> str:
    """The heads of these chains as one line of text."""
    private, public = key_pair(Path(config.token_key_dir))
    claims = {
        "iss": config.token_issuer,
        "aud": AUDIENCE,
        "at": at.astimezone(UTC).isoformat(),
        "heads": {name: [chain.number, chain.hash.hex()] for name, chain in chains.items()},
    }
    return jwt.encode(claims, signing_key(private), algorithm=ALGORITHM, headers={"kid": key_id(public.read_bytes())})


def read_heads(config: Config, text: str) -> dict[str, dict[int, bytes]]:
    """The hashes by service and number in signed heads, one text a line.  Raises ConfigError for a bad signature.

    Heads are kept for years: also those count that a key signed which is retired, and signs no token any more.
    """
    _, public = key_pair(Path(config.token_key_dir))
    keys = {**public_keys(public.parent / RETIRED), **public_keys(public.parent)}
    found: dict[str, dict[int, bytes]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            claims: dict[str, Any] = jwt.decode(
                line,
                keys[str(jwt.get_unverified_header(line).get("kid"))],
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=config.token_issuer,
            )
            for service, (number, hash) in claims["heads"].items():
                if number:
                    found.setdefault(service, {})[int(number)] = bytes.fromhex(hash)
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
            raise ConfigError(f"the file of heads holds a line that none of our keys has signed: {error!r}") from error
    return found
