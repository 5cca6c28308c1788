"""The command line's way in: the first administrator, or the one who is locked out (see the README's runbook)."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from chassis.access.company import CompanySettings
from chassis.access.directory import Directory
from chassis.catalogue import known_everywhere
from chassis.commands.pipeline import prepare
from chassis.foundation.config import Config, ConfigError
from chassis.model.aggregates import Aggregate
from chassis.model.middleware import Surroundings
from chassis.model.principal import SYSTEM
from chassis.model.service import CommandFunction, Work
from chassis.model.unique import UniqueIndex
from chassis.store.event_store import EventStore
from chassis.store.opening import open_store
from chassis.writer.request import Request
from chassis.writer.writer import Writer
from contracts.access import AddRoleMember, IssueDefaultPassword, IssueUser, ResetSecondFactor
from contracts.errors import Refused
from contracts.permissions import ADMINISTRATOR
from contracts.schemas import load
from services.access.application import SERVICE
from services.access.domain.users import User, login_value
from services.access.handlers.accounts import add_role_member, issue_user
from services.access.preparation.images import challenge_of


def make_administrator(config: Config, login: str) -> str:
    """Let `login` in as administrator; returns the default password, to be changed at the first sign-in.

    A new account is issued; one that is there gets the role, the password, and loses lock and second proof.  Where the
    settings ask for a code and the account has neither e-mail address nor phone, none is asked of it until it has one:
    whatever was set, this leads in.  Raises ConfigError for what is no name.
    """
    password = f"{secrets.token_urlsafe(12)}-Aa1"
    store = open_store("access", config)
    try:
        holder = _holder(store, login)
        if holder is None:
            told = {"user_id": str(uuid4()), "login": login, "name": login, "default_password": password}
            try:
                command = load(IssueUser, {**told, "roles": [ADMINISTRATOR]})
            except Refused as refusal:  # as over HTTP
                raise ConfigError(refusal.message) from refusal
            _carry_out(config, store, command)
            return password
        for again in (
            AddRoleMember(role=ADMINISTRATOR, user_id=holder),
            ResetSecondFactor(user_id=holder),
            IssueDefaultPassword(user_id=holder, default_password=password),
        ):
            _carry_out(config, store, again)
        return password
    finally:
        store.close()


def answered_challenge(config: Config) -> dict[str, str]:
    """A verification image for a sign-in (SEC-08), and its answer: who has the installation's keys needs no eyes."""
    answer = secrets.token_hex(4)
    challenge = challenge_of(uuid4(), answer, datetime.now(UTC), config)
    return {"challenge": challenge, "challenge_answer": answer}


def _holder(store: EventStore, login: str) -> UUID | None:
    """Whose name it is, also where a former release claimed it."""
    indexes = (store.load(UniqueIndex, id) for id in login_value(login).ids)
    return next((index.holder for index in indexes if index is not None and index.holder is not None), None)


def _lets_in(handler: CommandFunction) -> CommandFunction:
    """The handler without what keeps others from having no way in: here it is opened."""

    def handled(command: Any, work: Work) -> Aggregate:
        user = handler(command, work)
        assert isinstance(user, User)
        user.waive_proof()
        return user

    return handled


RESCUE = replace(
    SERVICE,
    commands={**SERVICE.commands, IssueUser: _lets_in(issue_user), AddRoleMember: _lets_in(add_role_member)},
)


def _carry_out(config: Config, store: EventStore, command: object) -> None:
    """Through the service's own writer: another process's writer notices, as it does with any second one (ADR 0005)."""
    now = datetime.now(UTC)
    directory = Directory(known_everywhere(), company=CompanySettings(config.zone))
    directory.load(store)
    request = Request(command, SYSTEM.context(now, directory.company.day_of(now)), command_id=str(uuid4()))
    ready = prepare(RESCUE, request, Surroundings(config, SYSTEM, now, store, directory))
    Writer(RESCUE, store).execute([ready.request])
    ready.request.future.result(timeout=0)
