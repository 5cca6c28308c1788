"""Signing in: failures and locks, sessions and their tokens, codes to set a password, verification images."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from chassis.model.aggregates import Aggregate, applies, internal_event
from chassis.model.context import Context, Organisation, is_before
from chassis.model.identity import Named
from contracts.access import (
    AccessSettingsSet,
    ChallengePolicy,
    FailuresForgotten,
    SessionEnded,
    SetAccessSettings,
    SignedIn,
    SignInFailed,
    SignInsLocked,
)
from contracts.declare import changes
from contracts.errors import Refused
from contracts.people import Person
from contracts.reasons import Some
from contracts.settings import DEFAULTS
from services.access.domain.users import User, login_key

SETTINGS = Named("settings_id", "access")
MOST_FAILURES = 5
LOCKED = timedelta(minutes=15)
CODE_LIVES = timedelta(minutes=5)
MOST_TRIES = 5
MOST_CODES_AN_HOUR = 5
IDLE = timedelta(days=7)
LONGEST = timedelta(days=30)
HOUR = timedelta(hours=1)
SHOWN_LOGINS = 3

# Made anew each time: an exception keeps the frames it was raised through, with what they hold.
wrong = partial(Refused, "access.wrong", field="password")
wrong_code = partial(Refused, "access.wrong_code", field="code")
wrong_challenge = partial(Refused, "access.wrong_challenge", field="challenge_answer")
needs_challenge = partial(
    Refused, "access.needs_challenge", route="POST /challenges", field="challenge", state="REQUIRED"
)
ended = partial(Refused, "access.ended", field="session_id")
key_lost = partial(Refused, "access.key_lost", route="DELETE /users/{user_id}/second-factor", state="KEY_LOST")


def locked(until: datetime) -> Refused:
    """The refusal while no sign-in is taken; the same for a name that belongs to nobody."""
    moment = until.isoformat(timespec="seconds")
    return Refused("access.locked", until=moment, field="password", state="LOCKED")


# -- settings


@dataclass
class AccessSettings(Aggregate):
    """How one signs in."""

    self_registration: bool = DEFAULTS["access"]["self_registration"]
    first_sign_in_code: bool = DEFAULTS["access"]["first_sign_in_code"]
    challenge: ChallengePolicy = DEFAULTS["access"]["challenge"]
    second_factor_roles: tuple[str, ...] = DEFAULTS["access"]["second_factor_roles"]

    def change(self, command: SetAccessSettings, context: Context) -> None:
        """Change what the command names."""
        fact = AccessSettingsSet(settings_id=command.settings_id, **self._after(command), by=context.user)
        if any(getattr(self, name) != getattr(fact, name) for name in DEFAULTS["access"]):
            self.record(fact)

    def needs_challenge(self, failures: int) -> bool:
        return self.challenge == "ALWAYS" or (self.challenge == "AFTER_FAILURE" and failures > 0)

    def proof_of(self, user: User) -> str:
        """The second proof a sign-in needs (SEC-05, SEC-06): the user's own method, else a code; "" for none."""
        if user.factor.method:
            return user.factor.method
        if user.proof_waived and not user.has_contact:
            return ""
        by_role = not set(user.state.roles).isdisjoint(self.second_factor_roles)
        first = not user.contact_proved and (user.self_registered or self.first_sign_in_code)
        return user.contact_method() if by_role or first else ""

    def locks_out(self, user: User) -> bool:
        """Whether somebody with a password can't sign in: a code is asked for, and there is nowhere to send it."""
        return user.has_password and user.lacks_contact_for(self.proof_of(user))

    def admits(self, user: User) -> bool:
        """Whether somebody can sign in, by what is known beforehand."""
        return user.has_password and not self.locks_out(user)

    def concerned_by(self, organisation: Organisation, before: "AccessSettings") -> Collection[UUID]:
        """Whom these settings perhaps ask for a code when the ones before did not."""
        if self.first_sign_in_code and not before.first_sign_in_code:
            return organisation.people()
        more = set(self.second_factor_roles) - set(before.second_factor_roles)
        return organisation.people(more) if more else ()

    def require_way_in(self, users: Iterable[User], before: "AccessSettings") -> None:
        """Raises Refused VALIDATION when these settings lock somebody out who can sign in with the ones before."""
        shut_out = [user for user in users if self.locks_out(user) and not before.locks_out(user)]
        if shut_out:
            by_role = not set(shut_out[0].state.roles).isdisjoint(self.second_factor_roles)
            field = "second_factor_roles" if by_role else "first_sign_in_code"
            way_out, state = "PATCH /users/{user_id}", "NO_CONTACT"
            logins = Some([user.state.login for user in shut_out], SHOWN_LOGINS)
            if len(shut_out) == 1:
                raise Refused("access.locks_one_out", logins=logins, route=way_out, field=field, state=state)
            count = len(shut_out)
            raise Refused("access.locks_out", count=count, logins=logins, route=way_out, field=field, state=state)

    def after(self, command: SetAccessSettings) -> "AccessSettings":
        """The settings as the command would leave them; these stay what they are."""
        return AccessSettings(id=self.id, **self._after(command))

    def _after(self, command: SetAccessSettings) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in DEFAULTS["access"]} | changes(command, AccessSettingsSet)
        values["second_factor_roles"] = tuple(sorted(set(values["second_factor_roles"])))
        return {name: values[name] for name in DEFAULTS["access"]}

    @applies(AccessSettingsSet)
    def _set(self, fact: AccessSettingsSet) -> None:
        self.self_registration, self.first_sign_in_code = fact.self_registration, fact.first_sign_in_code
        self.challenge, self.second_factor_roles = fact.challenge, fact.second_factor_roles


# -- failures


def attempts_id(user_id: UUID | None, name: str) -> UUID:
    """Where the failures of a user are counted, or those of a name that belongs to nobody."""
    whose = user_id or f"nobody:{login_key(name)}"  # a name that looks like an id is not that user
    return uuid5(NAMESPACE_URL, f"salestream:attempts:{whose}")


@internal_event("access.attempts-forgotten")
class AttemptsForgotten:
    """What former releases stored for FailuresForgotten."""


@internal_event("access.code-asked")
class CodeAsked:
    """A code to set a password was asked for."""

    at: datetime


@dataclass
class Attempts(Aggregate):
    """Failed sign-ins in a row; five lock the account for 15 minutes (SEC-07)."""

    failures: int = 0
    locked_until: datetime | None = None
    asked: tuple[datetime, ...] = ()

    snapshot_every: ClassVar[int] = 200

    def require_open(self, now: datetime) -> None:
        """Raises Refused UNAUTHENTICATED while locked."""
        if self.locked_until is not None and is_before(now, self.locked_until, LOCKED):
            raise locked(self.locked_until)

    def fail(self, user_id: UUID | None, reason: Literal["PASSWORD", "PROOF"], now: datetime) -> None:
        failures = self.failures + 1
        self.record(SignInFailed(attempts_id=self.id, user_id=user_id, reason=reason, failures=failures))
        if failures >= MOST_FAILURES:
            self.record(SignInsLocked(attempts_id=self.id, user_id=user_id, until=now + LOCKED))

    def forget(self, user_id: UUID) -> None:
        if self.failures or self.locked_until:
            self.record(FailuresForgotten(attempts_id=self.id, user_id=user_id))

    def ask_code(self, now: datetime) -> bool:
        """Whether a code may be sent: five an hour, so that guessing codes leads nowhere."""
        if len([at for at in self.asked if is_before(now, at + HOUR, HOUR)]) >= MOST_CODES_AN_HOUR:
            return False
        self.record(CodeAsked(at=now))
        return True

    def reply(self) -> dict[str, Any]:
        return {"outcome": "WRONG"}

    @applies(SignInFailed)
    def _failed(self, fact: SignInFailed) -> None:
        self.failures = fact.failures

    @applies(SignInsLocked)
    def _locked(self, fact: SignInsLocked) -> None:
        self.locked_until, self.failures = fact.until, 0

    @applies(FailuresForgotten, AttemptsForgotten)
    def _forgotten(self, _: FailuresForgotten | AttemptsForgotten) -> None:
        self.locked_until, self.failures = None, 0

    @applies(CodeAsked)
    def _asked(self, fact: CodeAsked) -> None:
        self.asked = (*(at for at in self.asked if at > fact.at - HOUR), fact.at)


@internal_event("access.challenge-used")
class ChallengeUsed:
    """A verification image was answered, rightly or wrongly."""


@dataclass
class Challenge(Aggregate):
    """A verification image: one try (SEC-08).  Drawing one stores nothing; the client holds it, signed."""

    def use(self) -> bool:
        """Whether this is the first answer."""
        if self.version:
            return False
        self.record(ChallengeUsed())
        return True

    def reply(self) -> dict[str, Any]:
        return {"outcome": "WRONG_CHALLENGE"}

    @applies(ChallengeUsed)
    def _used(self, _: ChallengeUsed) -> None:
        """That there is an event says it."""


# -- sessions


@internal_event("access.proof-asked")
class ProofAsked:
    """The password was right; the second proof is awaited."""

    user: Person
    epoch: int
    method: str
    code_mark: str
    until: datetime
    limited: bool
    device_id: UUID | None
    sent_to: str | None = None


@internal_event("access.proof-failed")
class ProofFailed:
    """A second proof was wrong."""


@internal_event("access.refresh-token-made")
class RefreshTokenMade:
    """The mark of the only refresh token that is good now, and until when it is."""

    user: Person
    epoch: int
    limited: bool
    device_id: UUID | None
    mark: str
    until: datetime
    last: datetime


@dataclass(frozen=True)
class SentCode:
    """The mark of a code, and the contact that it goes to."""

    mark: str
    to: str


@dataclass
class Session(Aggregate):
    """One sign-in, from the password to its end."""

    secret = frozenset({"mark", "code_mark"})

    status: Literal["", "PROOF", "OPEN", "ENDED"] = ""
    user: Person = Person()  # noqa: RUF009 - frozen
    epoch: int = 0
    limited: bool = False
    device_id: UUID | None = None
    method: str = ""
    code_mark: str = ""
    code_until: datetime | None = None
    sent_to: str | None = None
    tries: int = 0
    mark: str = ""
    until: datetime | None = None
    last: datetime | None = None

    snapshot_every: ClassVar[int] = 200

    def ask_proof(self, user: User, method: str, code: SentCode | None, device_id: UUID | None, now: datetime) -> None:
        """The second proof is awaited: a code that is sent, or that of an app."""
        self.record(
            ProofAsked(
                user=user.person,
                epoch=user.state.epoch,
                method=method,
                code_mark=code.mark if code else "",
                until=now + CODE_LIVES,
                limited=user.state.status == "DEFAULT_PASSWORD",
                device_id=device_id,
                sent_to=code.to if code else None,
            )
        )

    def open(self, user: User, mark: str, device_id: UUID | None, now: datetime) -> None:
        """All proofs are given: the sign-in holds (SEC-07)."""
        limited = user.state.status == "DEFAULT_PASSWORD"
        self.record(
            RefreshTokenMade(
                user=user.person,
                epoch=user.state.epoch,
                limited=limited,
                device_id=device_id,
                mark=mark,
                until=now + IDLE,
                last=now + LONGEST,
            )
        )
        self.record(SignedIn(session_id=self.id, user_id=user.id, device_id=device_id, limited=limited, by=user.person))

    def awaits_proof_of(self, user: User, now: datetime) -> bool:
        """Whether a proof still opens it: in time, and neither sign-ins were ended since nor contact or proof changed.

        A proof that was taken away can't be given; one that was enrolled since must not be got round.
        """
        holds = ("TOTP",) if self.method == "TOTP" else ("", self.method)
        in_time = is_before(now, self.code_until, CODE_LIVES)
        same = user.factor.method in holds and not user.voids(self.epoch, self.sent_to)
        return self.status == "PROOF" and in_time and same

    def code_is(self, mark: str, now: datetime) -> bool:
        """Whether it is the code that was sent, in time."""
        return bool(self.code_mark) and mark == self.code_mark and is_before(now, self.code_until, CODE_LIVES)

    def fail_proof(self, now: datetime) -> None:
        """Five wrong proofs end the sign-in (SEC-05)."""
        self.record(ProofFailed())
        if self.tries >= MOST_TRIES:
            self.end("PROOF_FAILED", self.user, now)

    def rotate(self, seen: str, is_ours: bool, fresh: str, now: datetime) -> None:
        """A new refresh token for the good one; an earlier one ends the session: one of its two holders stole it.

        Raises Refused UNAUTHENTICATED for a text that never was a token of this session.
        """
        assert self.until is not None and self.last is not None
        if seen != self.mark and not is_ours:
            raise Refused("access.no_refresh_token", field="refresh_token")
        if seen != self.mark:
            self.end("REUSED_TOKEN", self.user, now)
        elif not (is_before(now, self.until, IDLE) and is_before(now, self.last, LONGEST)):
            self.end("EXPIRED", self.user, now)
        else:
            self.record(
                RefreshTokenMade(
                    user=self.user,
                    epoch=self.epoch,
                    limited=self.limited,
                    device_id=self.device_id,
                    mark=fresh,
                    until=now + IDLE,
                    last=self.last,
                )
            )

    def end(
        self, reason: Literal["SIGNED_OUT", "REUSED_TOKEN", "EXPIRED", "PROOF_FAILED"], by: Person, now: datetime
    ) -> None:
        """SEC-11.  Nothing happens when it has ended already."""
        if self.status != "ENDED":
            assert self.user.user_id is not None
            self.record(SessionEnded(session_id=self.id, user_id=self.user.user_id, reason=reason, ended_at=now, by=by))

    def reply(self) -> dict[str, Any]:
        return {
            "outcome": self.status,
            "user_id": str(self.user.user_id),
            "name": self.user.name,
            "epoch": self.epoch,
            "limited": self.limited,
            "device_id": str(self.device_id) if self.device_id else None,
            "method": self.method,
        }

    @applies(ProofAsked)
    def _asked(self, fact: ProofAsked) -> None:
        self.status, self.user, self.epoch, self.limited = "PROOF", fact.user, fact.epoch, fact.limited
        self.method, self.code_mark, self.code_until = fact.method, fact.code_mark, fact.until
        self.device_id, self.sent_to = fact.device_id, fact.sent_to

    @applies(ProofFailed)
    def _failed(self, _: ProofFailed) -> None:
        self.tries += 1

    @applies(RefreshTokenMade)
    def _made(self, fact: RefreshTokenMade) -> None:
        self.status, self.user, self.epoch, self.limited = "OPEN", fact.user, fact.epoch, fact.limited
        self.mark, self.until, self.last, self.device_id = fact.mark, fact.until, fact.last, fact.device_id
        self.code_mark, self.tries = "", 0

    @applies(SignedIn)
    def _signed_in(self, _: SignedIn) -> None:
        """RefreshTokenMade told all of it."""

    @applies(SessionEnded)
    def _ended(self, _: SessionEnded) -> None:
        self.status, self.mark, self.code_mark = "ENDED", "", ""


# -- codes to set a password


@internal_event("access.reset-asked")
class ResetAsked:
    """A code to set a password was made; for a name that belongs to nobody it was sent to nobody."""

    user_id: UUID | None
    mark: str
    until: datetime
    epoch: int | None = None
    sent_to: str | None = None


@internal_event("access.reset-tried")
class ResetTried:
    """A code was tried; `right` says whether it was the one, which is void from then on."""

    right: bool


@dataclass
class PasswordReset(Aggregate):
    """A code to set a password: 6 digits, 5 minutes, one use, 5 tries (SEC-05, SEC-09, SEC-13)."""

    secret = frozenset({"mark"})

    user_id: UUID | None = None
    mark: str = ""
    until: datetime | None = None
    epoch: int | None = None
    sent_to: str | None = None
    tries: int = 0
    right: bool = False

    def ask(self, user: User | None, mark: str, now: datetime) -> None:
        """`user` is whom the code goes to, as known to who sends it; None where it goes to nobody."""
        epoch = user.state.epoch if user else None
        sent_to = user.contact(user.contact_method()) if user and user.has_contact else None
        user_id = user.id if user else None
        self.record(ResetAsked(user_id=user_id, mark=mark, until=now + CODE_LIVES, epoch=epoch, sent_to=sent_to))

    def attempt(self, mark: str, user: User | None, now: datetime) -> bool:
        """Whether it is the code, in time, not used, and within five tries.

        Raises Refused UNAUTHENTICATED for one that is void: all of that, or the account changed since.
        """
        alive = bool(self.mark) and self.tries < MOST_TRIES and is_before(now, self.until, CODE_LIVES)
        if not alive or (user is not None and user.voids(self.epoch, self.sent_to)):
            raise wrong_code()
        right = mark == self.mark and self.user_id is not None
        self.record(ResetTried(right=right))
        return right

    def reply(self) -> dict[str, Any]:
        return {"outcome": "RIGHT" if self.right else "WRONG", "sent": self.user_id is not None}

    @applies(ResetAsked)
    def _asked(self, fact: ResetAsked) -> None:
        self.user_id, self.mark, self.until = fact.user_id, fact.mark, fact.until
        self.epoch, self.sent_to = fact.epoch, fact.sent_to

    @applies(ResetTried)
    def _tried(self, fact: ResetTried) -> None:
        self.tries += 1
        if fact.right:
            self.right, self.mark = True, ""
