"""A session that has ended stays ended, whatever the clocks do that stamped its end or read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import pytest

from chassis.access.directory import Directory
from chassis.access.known import EndedSessions
from chassis.access.tokens import TOKENS_LIVE, TokenVerifier, issue
from chassis.catalogue import known_everywhere
from chassis.foundation.config import Config
from chassis.model.principal import Principal
from contracts.access import SessionEnded, UserIssued, UserState
from contracts.errors import Refused
from contracts.schemas import encode
from services.access.known import ENDED, REMEMBERED_ENDS, session_ended

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LI = UUID(int=7)
JUMPS = [timedelta(hours=1), timedelta(days=400), timedelta(hours=-1), timedelta(days=-400)]

each_jump = pytest.mark.parametrize("jump", JUMPS, ids=str)


def ended(at: datetime, session: UUID | None = None) -> SessionEnded:
    return SessionEnded(session_id=session or uuid4(), user_id=LI, reason="SIGNED_OUT", ended_at=at)


def folded(facts: list[SessionEnded]) -> EndedSessions:
    row: EndedSessions | None = None
    for fact in facts:
        row = session_ended(row, fact)
    assert row is not None
    return row


@each_jump
def test_no_end_is_forgotten_because_another_was_stamped_by_a_clock_that_was_wrong(jump: timedelta) -> None:
    odd, right = [ended(NOON + jump) for _ in range(5)], [ended(NOON + timedelta(seconds=n)) for n in range(5)]
    for facts in (odd + right, right + odd):
        assert {fact.session_id for fact in facts} <= folded(facts).ended.keys()


def test_the_row_of_a_user_is_bounded_and_the_same_in_whatever_order_the_ends_come() -> None:
    random = Random(5)
    facts = [ended(NOON + timedelta(minutes=random.randrange(100_000))) for _ in range(3 * REMEMBERED_ENDS)]
    first = folded(facts)
    assert len(first.ended) == REMEMBERED_ENDS
    for _ in range(5):
        random.shuffle(facts)
        assert folded(facts) == first


class Office:
    """A process with two clocks: the one that people set, and the one that nobody sets."""

    def __init__(self) -> None:
        self.wall, self.real = NOON, 0.0
        self.directory = self.started()

    def started(self) -> Directory:
        directory = Directory(known_everywhere(), clock=lambda: self.wall, ticks=lambda: self.real)
        state = UserState(login="li", name="Li", status="ACTIVE", revision=1)
        directory.tell([UserIssued(user_id=LI, user=state)])
        return directory

    def passes(self, time: timedelta) -> None:
        self.wall, self.real = self.wall + time, self.real + time.total_seconds()

    def is_void(self, session: UUID, directory: Directory | None = None) -> bool:
        try:
            (directory or self.directory).admit(Principal(LI, "Li", frozenset(), session_id=session))
        except Refused:
            return True
        return False


@each_jump
def test_no_process_forgets_an_end_when_its_clock_jumps(jump: timedelta) -> None:
    office = Office()
    session = uuid4()
    office.directory.tell([ended(office.wall, session)])
    office.wall += jump
    office.passes(TOKENS_LIVE / 2)
    office.directory.tell([ended(office.wall)])
    office.wall -= jump
    office.directory.tell([ended(office.wall)])
    assert office.is_void(session)


@each_jump
def test_an_end_that_a_wrong_clock_stamped_is_remembered_while_its_tokens_can_be_good(jump: timedelta) -> None:
    """They were stamped by the same clock, and are good again once the right time has come to them."""
    office = Office()
    session = uuid4()
    office.directory.tell([ended(office.wall + jump, session)])
    office.passes(2 * TOKENS_LIVE)
    office.directory.tell([ended(office.wall)])
    assert office.is_void(session) == (jump > timedelta())


@each_jump
def test_a_process_that_starts_while_its_clock_is_wrong_knows_the_ends_of_today(jump: timedelta) -> None:
    office = Office()
    session = uuid4()
    row = encode(folded([ended(NOON, session)]))

    class Store:
        def rows(self, replica: str) -> list[bytes]:
            return [row] if replica == ENDED.name else []

    office.wall += max(min(jump, timedelta(hours=1)), timedelta(hours=-1))
    again = office.started()
    again.load(Store())
    office.wall = NOON
    again.tell([ended(NOON)])
    assert office.is_void(session, again)


def test_a_process_forgets_ends_whose_tokens_have_expired() -> None:
    office = Office()
    sessions = [uuid4() for _ in range(100)]
    office.directory.tell([ended(office.wall, session) for session in sessions])
    office.passes(2 * TOKENS_LIVE)
    office.directory.tell([ended(office.wall)])
    assert not any(map(office.is_void, sessions))


def test_a_token_of_an_ended_session_is_not_good_again_after_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it is good for another hour: who has checked it before must check it again."""
    office, session, config = Office(), uuid4(), Config(token_key_dir=str(tmp_path))
    office.wall = datetime.now(UTC)

    class Wall(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Wall:
            return cls.fromtimestamp(office.wall.timestamp(), tz)

    monkeypatch.setattr("time.time", lambda: Wall.now().timestamp())
    monkeypatch.setattr("jwt.api_jwt.datetime", Wall)
    token = f"Bearer {issue(config, Principal(LI, 'Li', frozenset(), session_id=session))}"
    verifier = TokenVerifier(config, ticks=lambda: office.real)
    verifier.verify(token)
    office.wall -= timedelta(hours=1)
    office.directory.tell([ended(office.wall, session)])
    assert office.is_void(session)
    office.passes(2 * TOKENS_LIVE)
    office.directory.tell([ended(office.wall)])
    with pytest.raises(Refused):
        office.directory.admit(verifier.verify(token))
