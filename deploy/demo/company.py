"""The demonstration company in a running system: its departments and people, and their sign-ins.

`python -m deploy.demo.company wang` (make token USER=wang) prints a bearer token of one of them.  Whoever is missing is
given an account first, as `deploy/demo_users.toml` says.  Passwords are drawn for each installation and kept in its
folder.  Where one does not lead in any more, `--renew` (RENEW=1) gives that person another.
"""

import argparse
import json
import secrets
import sys
import time
import tomllib
from typing import Any

import httpx

from chassis.foundation.command_line import command_line
from chassis.foundation.config import Config, ConfigError
from chassis.messaging.consistency import HEADER
from deploy.demo.errors import DemoError
from deploy.devstack.errors import DevstackError
from deploy.local import LocalSystem
from services.access.administration import answered_challenge, make_administrator
from services.access.demo_users import USERS_FILE

RENEW_BEFORE_SECONDS = 120
ANSWER_SECONDS = 60.0


def new_password() -> str:
    """A password of all four classes."""
    return f"{secrets.token_urlsafe(12)}-Aa1"


class SignedIn:
    """One person's sign-in, renewed before its token ends."""

    def __init__(self, http: httpx.Client, told: dict[str, Any]) -> None:
        self._http = http
        self._told = told
        self._ends = time.monotonic() + told["expires_in"]

    @property
    def user_id(self) -> str:
        return str(self._told["user_id"])

    def token(self) -> str:
        """A token that holds for two minutes at least."""
        if time.monotonic() > self._ends - RENEW_BEFORE_SECONDS:
            body = {"refresh_token": self._told["refresh_token"]}
            self._told = done(self._http.post(f"/sessions/{self._told['id']}/refresh", json=body))
            self._ends = time.monotonic() + self._told["expires_in"]
        return str(self._told["access_token"])

    def send(self, method: str, path: str, body: Any = None, seen: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token()}", **({HEADER: seen} if seen else {})}
        return self._http.request(method, path, json=body, headers=headers)


def done(answer: httpx.Response) -> dict[str, Any]:
    """The body of what was accepted.  Raises DemoError."""
    body: dict[str, Any] = answer.json()
    if answer.status_code >= 400:
        raise DemoError(f"{answer.request.method} {answer.request.url.path}: {body.get('code')} {body.get('detail')}")
    return body


def _hindrance(name: str, told: dict[str, Any]) -> str:
    """What keeps somebody from signing in, and the way out."""
    way_out = f"`make token USER={name} RENEW=1` gives {name} another password and ends {name}'s sign-ins."
    if told.get("status") == "PROOF_REQUIRED":
        return (
            f"a second proof is asked for ({told['method']}).  Where the settings ask it of a role, take that out "
            f"(PUT /settings/access, second_factor_roles); if it is {name}'s own, {way_out}"
        )
    if told.get("state") == "LOCKED":
        return f"somebody tried wrong passwords in this name.  {told['detail']}  Or at once: {way_out}"
    if told.get("code") == "UNAUTHENTICATED":
        return f"the password is another one since the demonstration drew it, or the account is gone.  {way_out}"
    return f"{told.get('code')} {told.get('detail')}  {way_out}"


class DemoCompany:
    """The people of one system."""

    def __init__(self, system: LocalSystem) -> None:
        self._config = Config.from_env(system.settings())
        self._file = system.home / "people.json"
        self._http = httpx.Client(
            base_url=system.api.own_address,
            headers={"Accept-Language": "en"},
            timeout=ANSWER_SECONDS,
            trust_env=False,
        )
        self._people: dict[str, dict[str, Any]] = tomllib.loads(USERS_FILE.read_text())["users"]

    def sign_in(self, name: str) -> SignedIn:
        """Sign in as one of the people.  Raises DemoError for somebody else."""
        return self._enter(name, self._passwords(name)[name])

    def _passwords(self, name: str) -> dict[str, str]:
        if name not in self._people:
            raise DemoError(f"no demo user {name!r}; there are {', '.join(self._people)}")
        if not self._file.exists():
            self._found()
        found: dict[str, str] = json.loads(self._file.read_text())
        return found

    def _keep(self, passwords: dict[str, str]) -> None:
        self._file.touch(mode=0o600)
        self._file.write_text(json.dumps(passwords))

    def renew(self, name: str) -> None:
        """Give one of the people another password; ends their sign-ins, a lock and their second proof.

        Raises DemoError, also where the administrator can't sign in either.
        """
        passwords = self._passwords(name)
        if name == "admin":
            default = make_administrator(self._config, name)
        else:
            admin, default = self.sign_in("admin"), new_password()
            self._give_default(admin, name, default)
        self._keep({**passwords, name: (password := new_password())})  # first: what is lost nobody can sign in with
        self._accept(name, default, password)

    def _give_default(self, admin: SignedIn, name: str, default: str) -> str:
        """A default password for an account that is there, without a second proof of its own; returns the user's id."""
        [user] = done(admin.send("GET", f"/users?login={name}"))["items"]
        path = f"/users/{user['id']}"
        if user["second_factor"]:
            done(admin.send("DELETE", f"{path}/second-factor"))
        done(admin.send("POST", f"{path}/default-password", {"default_password": default}))
        return str(user["id"])

    def _enter(self, name: str, password: str) -> SignedIn:
        """Sign in.  Whoever signed in wrongly in the person's name hinders nobody: the verification image that is asked
        for since is answered with the installation's keys.  Raises DemoError that tells the way out.
        """
        said = {"name": name, "password": password}
        answer = self._http.post("/sessions", json=said)
        if answer.status_code >= 400 and answer.json().get("field") == "challenge":
            answer = self._http.post("/sessions", json={**said, **answered_challenge(self._config)})
        told: dict[str, Any] = answer.json()
        if answer.status_code >= 500:
            done(answer)
        if "access_token" not in told:
            raise DemoError(f"{name} can't sign in: {_hindrance(name, told)}")
        return SignedIn(self._http, told)

    # -- founding

    def _found(self) -> None:
        """Give everybody an account and a password of their own.  What an earlier attempt has done is found again."""
        passwords = {name: new_password() for name in self._people}
        admin = self._accept("admin", make_administrator(self._config, "admin"), passwords["admin"])
        wanted = sorted({str(person["department"]) for person in self._people.values()})
        departments = {name: self._department(admin, name) for name in wanted}
        ids: dict[str, str] = {"admin": admin.user_id}
        while missing := [name for name in self._people if name not in ids]:
            for name in missing:
                person = self._people[name]
                if (leader := person.get("superior")) is None or leader in ids:
                    about = {
                        "login": name,
                        "name": name,
                        "email": f"{name}@example.com",
                        "roles": person["roles"],
                        "department_id": departments[person["department"]],
                        **({"superior_id": ids[leader]} if leader else {}),
                    }
                    ids[name] = self._issue(admin, about, passwords[name])
        done(admin.send("PATCH", f"/users/{ids['admin']}", {"department_id": departments["Management"]}))
        self._keep(passwords)

    def _department(self, admin: SignedIn, name: str) -> str:
        """The id of a department; an earlier attempt may have made it."""
        answer = admin.send("POST", "/departments", {"name": name})
        if answer.json().get("code") != "DUPLICATE":
            return str(done(answer)["id"])
        there = done(admin.send("GET", "/departments?limit=200"))["items"]
        return next(str(one["id"]) for one in there if one["name"] == name and one["parent_id"] is None)

    def _issue(self, admin: SignedIn, about: dict[str, Any], password: str) -> str:
        """An account with its final password; returns the user's id."""
        name, default = str(about["login"]), new_password()
        body = {**about, "default_password": default}
        answer = admin.send("POST", "/users", body)
        if answer.json().get("code") == "DUPLICATE":  # an earlier attempt came this far
            self._give_default(admin, name, default)
        else:
            done(answer)
        return self._accept(name, default, password).user_id

    def _accept(self, name: str, default: str, password: str) -> SignedIn:
        """Change the default password and sign in with the new one, as everybody must (SEC-02)."""
        first = self._enter(name, default)
        body = {"old_password": default, "new_password": password}
        done(first.send("POST", f"/users/{first.user_id}/password", body))
        return self._enter(name, password)


@command_line
def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.company", description="Print a token of a demo user.")
    parser.add_argument("user", nargs="?", default="li", help="who signs in (default li)")
    parser.add_argument("--renew", action="store_true", help="give that person another password first")
    options = parser.parse_args(arguments)
    try:
        system = LocalSystem.from_env()
        system.require_running([system.api])  # before anything is made: the first sign-in founds the company
        company = DemoCompany(system)
        if options.renew:
            company.renew(options.user)
        print(company.sign_in(options.user).token())
    except (DemoError, DevstackError, ConfigError) as error:
        print(f"salestream: {error}", file=sys.stderr)
        return 1
    except httpx.TransportError as error:
        print(f"salestream: the system does not answer, start it with `make up`: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
