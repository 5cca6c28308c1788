"""The command line's way in: the first administrator, or the one who is locked out (see the README's runbook)."""

import secrets
from datetime import UTC, datetime
from uuid import uuid4

from chassis.around import Prepared, Surroundings
from chassis.auth import SYSTEM
from chassis.company import COMPANY, CompanySettings
from chassis.config import Config
from chassis.directory import Directory
from chassis.domain import UniqueIndex
from chassis.store import EventStore, open_store
from chassis.writer import Request, Writer
from contracts.access import AddRoleMember, IssueDefaultPassword, IssueUser, ResetSecondFactor
from contracts.permissions import ADMINISTRATOR
from contracts.schemas import decode
from services.access.application import SERVICE
from services.access.domain.users import login_index_ids


def make_administrator(config: Config, login: str) -> str:
    """Let `login` in as administrator; returns the default password, to be changed at the first sign-in.

    A new account is issued; one that is there gets the role, the password, and loses lock and second proof.
    """
    password = f"{secrets.token_urlsafe(12)}-Aa1"
    store = open_store("access", config)
    try:
        index = store.load(UniqueIndex, login_index_ids(login)[0])
        if index is None or index.holder is None:
            command = IssueUser(
                user_id=uuid4(), login=login, name=login, default_password=password, roles=(ADMINISTRATOR,)
            )
            _carry_out(config, store, command)
            return password
        for again in (
            AddRoleMember(role=ADMINISTRATOR, user_id=index.holder),
            ResetSecondFactor(user_id=index.holder),
            IssueDefaultPassword(user_id=index.holder, default_password=password),
        ):
            _carry_out(config, store, again)
        return password
    finally:
        store.close()


def _carry_out(config: Config, store: EventStore, command: object) -> None:
    """Through the service's own writer: another process's writer notices, as it does with any second one (ADR 0005)."""
    now = datetime.now(UTC)
    company = CompanySettings(config.zone)
    for body in store.rows(COMPANY.name):
        company.take(decode(COMPANY.row, body))
    around = SERVICE.around.get(type(command))
    prepared = Prepared(command)
    if around is not None:
        prepared = around.before(command, Surroundings(config, SYSTEM, now, store, Directory()))
    request = Request(
        command=prepared.command,
        context=SYSTEM.context(now, company.day_of(now)),
        command_id=str(uuid4()),
        prepared=prepared.facts,
    )
    Writer(SERVICE, store).execute([request])
    request.future.result(timeout=0)
