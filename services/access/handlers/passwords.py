"""Passwords: given, changed, forgotten (SEC-01..04, SEC-09, SEC-10)."""

from typing import Any

from chassis.model.aggregates import Aggregate
from chassis.model.service import Work
from contracts.access import (
    ChangePassword,
    IssueDefaultPassword,
    RequestPasswordReset,
    ResetPassword,
)
from services.access.domain.sessions import (
    Attempts,
    PasswordReset,
)
from services.access.domain.users import (
    User,
)
from services.access.handlers.records import attempts_of, require_own, user_of
from services.access.handlers.sign_in import wrongly_answered
from services.access.preparation.passwords import ResetFacts


def issue_default_password(command: IssueDefaultPassword, work: Work) -> User:
    user = user_of(work, command.user_id)
    user.set_password(work.prepared.hash, "DEFAULT", work.context.user)
    attempts_of(work, user.id).forget(user.id)
    return user


def wrong_password(work: Work, user: User, check: Any) -> Attempts | None:
    """The failures, counted one up, when the password is not right or was another one a moment ago."""
    attempts = attempts_of(work, user.id)
    attempts.require_open(work.context.now)
    if check.right and check.seen == user.password_hash:
        attempts.forget(user.id)
        return None
    attempts.fail(user.id, "PASSWORD", work.context.now)
    return attempts


def change_password(command: ChangePassword, work: Work) -> Aggregate:
    user = require_own(work, command.user_id)
    if wrong := wrong_password(work, user, work.prepared):
        return wrong
    user.set_password(work.prepared.hash, "CHANGED", work.context.user)
    return user


def request_password_reset(command: RequestPasswordReset, work: Work) -> Aggregate:
    """A name that belongs to nobody leaves the same traces, so nothing tells it from one that does."""
    facts: ResetFacts = work.prepared
    if wrong := wrongly_answered(work, facts.answered):
        return wrong
    user_id = facts.user.id if facts.user else None
    reset = work.new(PasswordReset, command.reset_id, what="reset", field="reset_id")
    sent = attempts_of(work, user_id, command.name).ask_code(work.context.now)
    reset.ask(facts.user if sent else None, facts.mark, work.context.now)
    return reset


def reset_password(command: ResetPassword, work: Work) -> PasswordReset:
    reset = work.get(PasswordReset, command.reset_id, what="reset", field="reset_id")
    user = user_of(work, reset.user_id) if reset.user_id else None
    if reset.attempt(work.prepared.mark, user, work.context.now):
        assert user is not None
        user.set_password(work.prepared.hash, "RECOVERED", user.person)
        user.prove_contact()
        attempts_of(work, user.id).forget(user.id)
    return reset
