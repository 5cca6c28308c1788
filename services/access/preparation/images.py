"""Verification images (SEC-08)."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from captcha.image import ImageCaptcha

from chassis.foundation.config import Config
from chassis.model.middleware import Prepared, Surroundings
from contracts.access import (
    DrawChallenge,
)
from contracts.errors import Refused
from services.access import vault
from services.access.domain.sessions import (
    CODE_LIVES,
    wrong_challenge,
)
from services.access.preparation.records import same
from services.access.vault import Vault

CHALLENGE_CHARACTERS = "2346789"  # nothing that looks like something else
CHALLENGE_LENGTH = 5
CLOCKS_APART = 60  # seconds that two processes' clocks may differ


@dataclass(frozen=True)
class Drawn:
    """A verification image and what proves its answer."""

    image: bytes
    challenge: str


def draw_image(command: DrawChallenge, surroundings: Surroundings) -> Prepared:
    text = "".join(secrets.choice(CHALLENGE_CHARACTERS) for _ in range(CHALLENGE_LENGTH))
    image = surroundings.slowly(lambda: ImageCaptcha().generate(text).getvalue())
    return Prepared(
        command, Drawn(image, challenge_of(command.challenge_id, text, surroundings.now, surroundings.config))
    )


def challenge_of(challenge_id: UUID, text: str, now: datetime, config: Config) -> str:
    """What a client holds of a verification image, and shows with its answer."""
    until = int((now + CODE_LIVES).timestamp())
    return f"{challenge_id}.{until}.{_proof(challenge_id, until, text, config)}"


def show_image(body: dict[str, Any], facts: Drawn, _: Surroundings) -> dict[str, Any]:
    image = f"data:image/png;base64,{base64.b64encode(facts.image).decode()}"
    shown = {name: value for name, value in body.items() if name != "outcome"}  # that is of a wrong answer to it
    return {**shown, "challenge": facts.challenge, "image": image}


def _proof(challenge_id: UUID, until: int, text: str, config: Config) -> str:
    return Vault.of(config).mark("challenge", str(challenge_id), str(until), vault.typed(text))


@dataclass(frozen=True)
class Answered:
    """What was said to a verification image: its id (None when there was none), and whether rightly."""

    challenge_id: UUID | None = None
    right: bool = False


def answered(challenge: str | None, answer: str, surroundings: Surroundings) -> Answered:
    """Raises Refused VALIDATION for what is no challenge, or an expired one."""
    if challenge is None:
        return Answered()
    id, _, rest = challenge.partition(".")
    until, _, proof = rest.partition(".")
    try:
        challenge_id, ends = UUID(id), int(until)
    except ValueError as error:
        raise wrong_challenge() from error
    if not ends - CODE_LIVES.total_seconds() - CLOCKS_APART <= surroundings.now.timestamp() <= ends:
        raise Refused("access.challenge_expired", field="challenge")
    return Answered(challenge_id, same(_proof(challenge_id, ends, answer, surroundings.config), proof))
