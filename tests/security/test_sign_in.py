"""The door itself: what failures tell, how often one may guess, and what knowing ids is good for (SEC-04..09)."""

import re
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyotp
import pytest

from security.office import DEFAULT, PASSWORD, Caller, Office, Told, new_id
from services.access import vault


class CountingHasher:
    """A hasher that counts what it is asked for."""

    def __init__(self) -> None:
        self.hasher: Any = vault._hasher
        self.hashed = self.verified = 0

    def hash(self, password: str) -> str:
        self.hashed += 1
        return str(self.hasher.hash(password))

    def verify(self, stored: str, password: str) -> bool:
        self.verified += 1
        return bool(self.hasher.verify(stored, password))


@pytest.fixture
def hasher(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingHasher]:
    """Counts argon2's work; the hash that nobody has is made before."""
    vault.nobodys_hash()
    counting = CountingHasher()
    monkeypatch.setattr(vault, "_hasher", counting)
    yield counting


def told_of(told: Told) -> tuple[Any, ...]:
    """All that a failed attempt tells: status, body, and the headers without where the log stands."""
    headers = {name: value for name, value in told.response.headers.items() if name != "Salestream-Consistency"}
    return told.status, told.body, headers, told.response.content_type


def login_of(office: Office, caller: Caller) -> str:
    told = (fact for fact in office.facts("access") if hasattr(fact, "user"))
    return next(str(fact.user.login) for fact in told if str(fact.user_id) == caller.user_id)


# -- what a failure tells (SEC-07) ------------------------------------------------------------------------------------


def test_SEC_07_an_unknown_name_costs_and_tells_what_a_wrong_password_does(
    office: Office, hasher: CountingHasher
) -> None:
    """Same status, body and headers, one verification each, one commit each: nothing to tell them apart by."""
    known = login_of(office, office.user("SAL"))
    seen = []
    for name in (known, f"nobody-{new_id()}"):
        before, hasher.verified, hasher.hashed = office.state(), 0, 0
        told = office.call("POST /sessions", {"name": name, "password": "Wrong#2026"})
        grown = office.state()["access"][0] - before["access"][0]
        seen.append((*told_of(told), hasher.verified, hasher.hashed, grown))
    assert seen[0] == seen[1]
    assert seen[0][0] == 401 and seen[0][-3:] == (1, 0, 1)


def test_SEC_07_a_deleted_a_not_activated_and_a_locked_account_tell_no_more(
    office: Office, hasher: CountingHasher
) -> None:
    """Those without a password are compared with nobody's; a lock tells the same for names of nobody."""
    deleted = office.user("SAL")
    gone = login_of(office, deleted)
    office.call(f"POST /users/{deleted.user_id}/deletion", {"successor_id": office.admin.user_id}, office.admin).done()
    empty = office.issue("DLR", default_password=None)
    wrong = {"name": f"nobody-{new_id()}", "password": "Wrong#2026"}
    expected = told_of(office.call("POST /sessions", wrong))
    for name in (gone, empty):
        verified = hasher.verified
        assert told_of(office.call("POST /sessions", {**wrong, "name": name})) == expected
        assert hasher.verified == verified + 1


def test_SEC_07_locks_look_alike_for_names_of_nobody(office: Office) -> None:
    texts = []
    for name in (login_of(office, office.user("SAL")), f"nobody-{new_id()}"):
        answers = [office.call("POST /sessions", {"name": name, "password": "Wrong#2026"}) for _ in range(6)]
        assert [told.body.get("state") for told in answers] == [None] * 5 + ["LOCKED"]
        texts.append([told.body["detail"].partition(" after ")[0] for told in answers])
    assert texts[0] == texts[1]


def test_SEC_07_how_long_a_failure_takes_is_told_for_the_record(
    office: Office, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """Counted work decides (above); the time of real hashes is only recorded."""
    monkeypatch.setattr(vault, "_hasher", vault.new_hasher())
    vault.nobodys_hash.cache_clear()
    vault.nobodys_hash()
    for who in ("known", "unknown"):
        seconds = []
        for _ in range(3):
            name = office.issue("SAL") if who == "known" else f"nobody-{new_id()}"
            started = time.perf_counter()
            assert office.call("POST /sessions", {"name": name, "password": "Wrong#2026"}).status == 401
            seconds.append(time.perf_counter() - started)
        record_property(f"{who}_name_ms", round(statistics.median(seconds) * 1000, 1))
    monkeypatch.undo()
    vault.nobodys_hash.cache_clear()


# -- enumeration (SEC-04, SEC-09) -------------------------------------------------------------------------------------


def test_SEC_09_asking_for_a_code_tells_nobody_who_has_an_account(office: Office, hasher: CountingHasher) -> None:
    with_mail = office.issue("SAL", email="with@example.com")
    without = office.issue("SAL")
    answers: list[Any] = []
    hasher.hashed = 0
    for name in (with_mail, without, f"nobody-{new_id()}"):
        id, before = new_id(), office.state()["access"][0]
        told = office.call("POST /password-resets", {"reset_id": id, "name": name})
        body = {**told.body, "id": told.body["id"] == id}
        headers = {**told.response.headers, "Location": "", "Salestream-Consistency": ""}
        answers.append((told.status, body, headers, office.state()["access"][0] - before))
    assert answers[0] == answers[1] == answers[2]
    assert (hasher.hashed, hasher.verified) == (0, 0)


def test_SEC_04_registering_asks_for_an_image_so_that_taken_names_are_not_listed_by_machine(office: Office) -> None:
    """It tells that a name is taken, or people could not find out why; each question costs a solved image."""
    settings = {"self_registration": True, "first_sign_in_code": False, "second_factor_roles": []}
    body = {"name": "Li", "company": "Acme", "password": PASSWORD, "email": "taken@example.com"}
    office.call("POST /registrations", body).done()
    for policy in ("AFTER_FAILURE", "ALWAYS"):
        office.call("PUT /settings/access", {**settings, "challenge": policy}, office.admin).done()
        for email in ("taken@example.com", f"free-{policy.lower().replace('_', '-')}@example.com"):
            before = office.state()
            told = office.call("POST /registrations", {**body, "email": email})
            assert (told.code, told.body["field"], told.body["state"]) == ("VALIDATION", "challenge", "REQUIRED")
            drawn = office.call("POST /challenges", {}).done()["challenge"]
            wrong = {**body, "email": email, "challenge": drawn, "challenge_answer": "wrong"}
            told = office.call("POST /registrations", wrong)
            assert (told.code, told.body["field"]) == ("VALIDATION", "challenge_answer")
            assert office.state()["access"][0] == before["access"][0] + 1, "the image is used up, nothing else"
    office.call("PUT /settings/access", {**settings, "challenge": "NEVER"}, office.admin).done()


def test_SEC_04_a_taken_name_does_not_tell_whose_it_is(office: Office) -> None:
    """Whoever is signed in is told the record in the way; a stranger is not told the id of an account."""
    email = f"{new_id()[:8]}@example.com"
    holder = office.user("SAL", email=email)
    login = login_of(office, holder)
    body = {"name": "Li", "company": "Acme", "password": PASSWORD, "email": email}
    office.call("POST /registrations", body).done()
    before = office.state()
    told = office.call("POST /registrations", body)
    assert (told.code, told.body["field"], office.state()) == ("DUPLICATE", "email", before)
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", str(told.body["detail"]))
    taken = {"login": login, "name": "Twin", "default_password": DEFAULT}
    assert holder.user_id in office.call("POST /users", taken, office.admin).body["detail"]


def test_SEC_04_who_registers_sees_nobody(office: Office) -> None:
    """A stranger with an account and no role: no colleague, no customer, no list at all."""
    email = f"{new_id()[:8]}@example.com"
    body = {"name": "Stranger", "company": "Elsewhere", "password": PASSWORD, "email": email}
    office.call("POST /registrations", body).done()
    told = office.call("POST /sessions", {"name": email, "password": PASSWORD}).done()
    assert told["status"] == "PROOF_REQUIRED"
    told = office.call(f"POST /sessions/{told['id']}/proof", {"code": office.code()}).done()
    stranger = Caller("stranger", f"Bearer {told['access_token']}", told["user_id"])
    for path in (
        "/colleagues",
        f"/colleagues/{office.admin.user_id}",
        "/departments",
        "/customers",
        "/orders",
        "/users",
    ):
        assert office.call(f"GET {path}", by=stranger).status == 403, path
    assert office.call("GET /me", by=stranger).done()["menu"] == []


# -- guessing (SEC-05, SEC-06) ----------------------------------------------------------------------------------------


def with_app(office: Office) -> tuple[str, str, pyotp.TOTP]:
    """A user with an authenticator app: login, user id, the app."""
    user = office.user("SAL")
    login = login_of(office, user)
    begun = office.call(f"POST /users/{user.user_id}/second-factor", {"method": "TOTP", "password": PASSWORD}, user)
    app = pyotp.TOTP(begun.done()["key"])
    office.call(f"POST /users/{user.user_id}/second-factor/confirmation", {"code": app.now()}, user).done()
    return login, user.user_id, app


def test_SEC_06_wrong_second_proofs_are_counted_across_sessions(office: Office) -> None:
    """Signing in anew, with the right password each time, gives no new tries."""
    login, _, _ = with_app(office)
    tried = 0
    for _ in range(10):
        told = office.call("POST /sessions", {"name": login, "password": PASSWORD})
        if told.status == 401:
            assert told.body["state"] == "LOCKED"
            break
        for code in ("000000", "000001"):
            answer = office.call(f"POST /sessions/{told.body['id']}/proof", {"code": code})
            assert answer.status == 401
            tried += answer.body.get("state") != "LOCKED"
    assert tried == 5, "five guesses, then the account is locked whatever session they came from"


def test_SEC_06_guesses_in_sessions_opened_before_count_too(office: Office) -> None:
    """Many sessions opened beforehand, one guess in each."""
    login, _, _ = with_app(office)
    sessions = [office.call("POST /sessions", {"name": login, "password": PASSWORD}).done()["id"] for _ in range(8)]
    answers = [office.call(f"POST /sessions/{id}/proof", {"code": "000000"}) for id in sessions]
    assert [told.body.get("state") for told in answers] == [None] * 5 + ["LOCKED"] * 3


def test_SEC_05_a_code_is_good_for_the_session_it_was_sent_for(office: Office) -> None:
    settings = {"self_registration": True, "first_sign_in_code": False, "challenge": "NEVER"}
    office.call("PUT /settings/access", {**settings, "second_factor_roles": ["BRO"]}, office.admin).done()
    login = office.issue("BRO", email=f"{new_id()[:8]}@example.com")
    body = {"name": login, "password": DEFAULT}
    first, second = (office.call("POST /sessions", body).done() for _ in range(2))
    code = office.code()
    assert office.call(f"POST /sessions/{first['id']}/proof", {"code": code}).status == 401
    office.call(f"POST /sessions/{second['id']}/proof", {"code": code}).done()
    assert office.call(f"POST /sessions/{second['id']}/proof", {"code": code}).status == 401
    office.call("PUT /settings/access", {**settings, "second_factor_roles": []}, office.admin).done()


# -- fixation: a session id the attacker has chosen -------------------------------------------------------------------


def test_SEC_07_a_session_id_somebody_else_has_chosen_opens_nothing_for_them(office: Office) -> None:
    """Ids are names, not secrets: whoever signs in gets the tokens, and an id is taken once."""
    login, chosen = login_of(office, office.user("SAL")), new_id()
    told = office.call("POST /sessions", {"session_id": chosen, "name": login, "password": PASSWORD}).done()
    victim = Caller("victim", f"Bearer {told['access_token']}")
    for request, body in (
        (f"POST /sessions/{chosen}/proof", {"code": "000000"}),
        (f"DELETE /sessions/{chosen}", None),
    ):
        assert office.call(request, body).status == 401
    other = office.user("SAL")
    assert office.call(f"DELETE /sessions/{chosen}", by=other).code == "FORBIDDEN"
    again = {"session_id": chosen, "name": login_of(office, other), "password": PASSWORD}
    assert office.call("POST /sessions", again).code == "DUPLICATE"
    assert office.call("GET /me", by=victim).done()["id"] == told["user_id"]


@pytest.mark.parametrize("id", ["00000000-0000-0000-0000-000000000000", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "1"])
def test_SEC_07_a_session_id_that_can_be_guessed_is_refused(office: Office, id: str) -> None:
    body = {"session_id": id, "name": "root", "password": PASSWORD}
    told = office.call("POST /sessions", body)
    assert (told.code, told.body["field"]) == ("VALIDATION", "session_id")


def test_a_new_sign_in_gives_new_tokens_and_leaves_no_old_ones_behind(office: Office) -> None:
    """Rights that grow with a sign-in never grow into an earlier token: the limited one stays limited, and dies."""
    login = office.issue("ADM")
    limited = office.sign_in(login, DEFAULT)
    office._accept(limited)
    full = office.sign_in(login, PASSWORD)
    assert full.authorization != limited.authorization and full.session_id != limited.session_id
    assert [office.call("GET /users", by=by).status for by in (limited, full)] == [401, 200]


@pytest.mark.parametrize("bulk", [False, True], ids=["single", "bulk"])
def test_SEC_11_who_signs_out_is_told_nothing_of_how_sessions_are_kept(office: Office, bulk: bool) -> None:
    caller = office.user("SAL")
    if bulk:
        items = {"items": [{"command": {"session_id": caller.session_id}}]}
        [told] = office.call("POST /bulk/sign-out", items, caller).done()["results"]
        body = told["body"]
    else:
        body = office.call(f"DELETE /sessions/{caller.session_id}", by=caller).done()
    assert body.keys() == {"id", "version", "user_id", "name"}


def test_a_machine_account_that_ends_tells_no_epoch(office: Office) -> None:
    machine = office.machine(("products.view", "ALL"))
    body = {"responsible_id": office.admin.user_id}
    told = office.call(f"PUT /machines/{machine.user_id}/responsible", body, office.admin).done()
    ended = office.call(f"DELETE /machines/{machine.user_id}", by=office.admin).done()
    assert told.keys() == ended.keys() == {"id", "version", "name"}
