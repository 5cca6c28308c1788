"""People with accounts of their own at a running system: they sign in, as anybody does."""

from __future__ import annotations

from typing import Any

import httpx

from chassis.messaging.consistency import HEADER
from chassis.testing.records import new_record
from component.support import Company, config_of, problem_of, unique
from contracts.records import Kind
from deploy.local.system import LocalSystem
from services.access.administration import make_administrator

DEFAULT = "Welcome#2026"
PASSWORD = "YunKeSale@2024"
SETTINGS: dict[str, Any] = {
    "self_registration": True,
    "first_sign_in_code": False,
    "challenge": "NEVER",
    "second_factor_roles": [],
}


class Caller:
    """Somebody at the edge, with whatever token a sign-in gave."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.token = ""
        self.told: dict[str, Any] = {}

    def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.company.seen:
            headers[HEADER] = self.company.seen
        return self.company.http.request(method, path, json=body, headers=headers)

    def do(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.send(method, path, body)
        assert answer.status_code in (200, 201), f"{method} {path}: {answer.text}"
        if HEADER in answer.headers:
            self.company.remember(answer.headers[HEADER])
        found: dict[str, Any] = answer.json()
        return found

    def enter(self, kind: Kind) -> str:
        """The id of a new record of a kind, which belongs to records that are entered for it where it must."""
        return str(self.do("POST", kind.path, new_record(kind, self.enter))["id"])

    def refused(self, code: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return problem_of(self.send(method, path, body), code)

    def sign_in(self, name: str, password: str) -> Caller:
        self.told = self.do("POST", "/sessions", {"name": name, "password": password})
        self.token = self.told.get("access_token", "")
        return self

    @property
    def user_id(self) -> str:
        return str(self.told["user_id"])


def accept(company: Company, login: str, default: str) -> Caller:
    """Change the default password, as everybody must, and sign in again."""
    caller = Caller(company).sign_in(login, default)
    body = {"old_password": default, "new_password": PASSWORD}
    caller.do("POST", f"/users/{caller.user_id}/password", body)
    return caller.sign_in(login, PASSWORD)


def first_administrator(system: LocalSystem, company: Company) -> Caller:
    """The administrator whom the command line let in; no verification image is asked for from now on."""
    login = unique("root")
    admin = accept(company, login, make_administrator(config_of(system), login))
    admin.do("PUT", "/settings/access", SETTINGS)
    return admin


def issue(admin: Caller, *roles: str, **more: Any) -> str:
    """A new account with the default password; returns its login."""
    login = unique("E").replace(" ", "")
    body = {"login": login, "name": login, "default_password": DEFAULT, "roles": list(roles), **more}
    admin.do("POST", "/users", body)
    return login
