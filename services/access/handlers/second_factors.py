"""Second proofs: enrolled, confirmed, taken away (SEC-06)."""

from chassis.model.aggregates import Aggregate
from chassis.model.context import is_before
from chassis.model.service import Work
from contracts.access import (
    ConfirmSecondFactor,
    EnrolSecondFactor,
    RemoveSecondFactor,
    ResetSecondFactor,
)
from contracts.errors import Refused
from services.access.domain.sessions import (
    CODE_LIVES,
)
from services.access.domain.users import (
    BEGIN_FACTOR,
    User,
)
from services.access.handlers.passwords import wrong_password
from services.access.handlers.records import attempts_of, require_own, user_of
from services.access.preparation.second_factors import Confirmation


def enrol_second_factor(command: EnrolSecondFactor, work: Work) -> Aggregate:
    user = require_own(work, command.user_id)
    if wrong := wrong_password(work, user, work.prepared):
        return wrong
    user.begin_factor(work.prepared.factor)
    return user


def confirm_second_factor(command: ConfirmSecondFactor, work: Work) -> Aggregate:
    facts: Confirmation = work.prepared
    user = require_own(work, command.user_id)
    attempts = attempts_of(work, user.id)
    attempts.require_open(work.context.now)
    pending = user.pending_factor()
    if pending.method == "TOTP":
        if facts.step is None:
            raise Refused("access.pending_key_lost", route=BEGIN_FACTOR, state="KEY_LOST")
        right = facts.step > 0 and facts.seen == pending.sealed_key and user.use_step(facts.step)
    else:
        right = facts.mark == pending.code_mark and is_before(facts.now, pending.code_until, CODE_LIVES)
    if not right:
        attempts.fail(user.id, "PROOF", work.context.now)
        return attempts
    user.confirm_factor(facts.recovery_marks, work.context)
    return user


def remove_second_factor(command: RemoveSecondFactor, work: Work) -> Aggregate:
    user = require_own(work, command.user_id)
    if wrong := wrong_password(work, user, work.prepared):
        return wrong
    user.remove_factor(work.context)
    return user


def reset_second_factor(command: ResetSecondFactor, work: Work) -> User:
    user = user_of(work, command.user_id)
    user.require_there()
    user.remove_factor(work.context)
    return user
