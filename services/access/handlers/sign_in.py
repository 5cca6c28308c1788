"""Signing in, with images, codes and sessions, and out (SEC-05..08, SEC-11)."""

from chassis.model.aggregates import Aggregate
from chassis.model.service import Work
from contracts.access import (
    DrawChallenge,
    ProveIdentity,
    RefreshSession,
    SignIn,
    SignOut,
)
from contracts.errors import Refused
from services.access.domain.sessions import (
    Challenge,
    SentCode,
    Session,
    ended,
    key_lost,
    needs_challenge,
)
from services.access.domain.users import (
    User,
)
from services.access.handlers.records import attempts_of, settings_of, user_of
from services.access.preparation.images import Answered
from services.access.preparation.sign_in import ProofFacts, RefreshFacts, SignInFacts


def wrongly_answered(work: Work, answered: Answered) -> Challenge | None:
    """The verification image when it was answered wrongly or before; each has one try (SEC-08)."""
    if answered.challenge_id is None:
        return None
    challenge = work.find_or_new(Challenge, answered.challenge_id)
    return None if challenge.use() and answered.right else challenge


def draw_challenge(command: DrawChallenge, work: Work) -> Challenge:
    return work.find_or_new(Challenge, command.challenge_id)


def sign_in(command: SignIn, work: Work) -> Aggregate:
    facts: SignInFacts = work.prepared
    now = work.context.now
    if wrong := wrongly_answered(work, facts.answered):
        return wrong
    user = work.find(User, facts.user.id) if facts.user else None
    attempts = attempts_of(work, user.id if user else None, command.name)
    attempts.require_open(now)
    settings = settings_of(work)
    if facts.answered.challenge_id is None and settings.needs_challenge(attempts.failures):
        raise needs_challenge()  # another sign-in failed a moment ago
    if not (facts.right and user and facts.user and user.password_hash == facts.user.password_hash):
        attempts.fail(user.id if user else None, "PASSWORD", now)
        return attempts
    if not facts.owns_device:  # told to nobody but who has the password
        raise Refused("access.not_your_phone", route="POST /devices", field="device_id", state="NOT_YOURS")
    session = work.new(Session, command.session_id, what="session", field="session_id")
    if method := settings.proof_of(user):
        code = None
        if method != "TOTP":
            user.contact(method)
            code = SentCode(facts.code_mark, facts.user.contact(method))  # where it is sent, whatever changed since
        session.ask_proof(user, method, code, command.device_id, now)
    else:
        attempts.forget(user.id)
        session.open(user, facts.tokens.mark, command.device_id, now)
    return session


def prove_identity(command: ProveIdentity, work: Work) -> Session:
    facts: ProofFacts = work.prepared
    now = work.context.now
    session = work.get(Session, command.session_id, what="session", field="session_id")
    user = user_of(work, session.user.user_id)
    attempts = attempts_of(work, user.id)
    attempts.require_open(now)
    if not session.awaits_proof_of(user, now) or facts.seen != user.factor.sealed_key:
        raise ended()
    if facts.step is None:
        raise key_lost()  # its recovery codes were marked with the same master key: they are void too
    if _is_proved(session, user, facts, work):
        attempts.forget(user.id)
        session.open(user, facts.tokens.mark, session.device_id, now)
    else:
        session.fail_proof(now)
        attempts.fail(user.id, "PROOF", now)
    return session


def _is_proved(session: Session, user: User, facts: ProofFacts, work: Work) -> bool:
    if session.code_is(facts.code_mark, work.context.now):
        user.prove_contact()
        return True
    return bool(facts.step and user.use_step(facts.step)) or user.use_recovery(facts.recovery_mark)


def refresh_session(command: RefreshSession, work: Work) -> Session:
    session = work.get(Session, command.session_id, what="session", field="session_id")
    if session.status != "OPEN":
        raise ended()
    user = user_of(work, session.user.user_id)
    if user.state.epoch != session.epoch:
        session.end("EXPIRED", user.person, work.context.now)
    else:
        facts: RefreshFacts = work.prepared
        session.rotate(facts.seen, facts.is_ours, facts.tokens.mark, work.context.now)
    return session


def sign_out(command: SignOut, work: Work) -> Session:
    session = work.get(Session, command.session_id, what="session", field="session_id")
    if session.user.user_id != work.context.user.user_id:
        raise Refused("access.own_sessions", field="session_id")
    session.end("SIGNED_OUT", work.context.user, work.context.now)
    return session
