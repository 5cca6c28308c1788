"""Tokens nobody should accept: forged, altered, foreign, outlived, of the wrong kind (OWASP API2)."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.access.tokens import ALGORITHM, key_id, key_pair
from security.office import DEFAULT, PASSWORD, Caller, Office, new_id

Claims = dict[str, Any]


class Forge:
    """Makes tokens for an administrator whose real sign-in is known, as attackers would."""

    def __init__(self, office: Office) -> None:
        private, public = key_pair(Path(office.config.token_key_dir))
        self.private, self.public = private.read_bytes(), public.read_bytes()
        assert office.admin.authorization
        self.good = office.admin.authorization.removeprefix("Bearer ")
        self.claims: Claims = jwt.decode(self.good, options={"verify_signature": False})
        self.head = {"kid": key_id(self.public)}

    def signed(self, claims: Claims, head: dict[str, Any] | None = None) -> str:
        """With the real key: what only the claims can betray."""
        return jwt.encode(claims, self.private, algorithm=ALGORITHM, headers=self.head if head is None else head)

    def without(self, name: str) -> str:
        return self.signed({key: value for key, value in self.claims.items() if key != name})

    def with_head(self, **head: Any) -> str:
        """The good claims under another head, signed with the real key where the library lets one."""
        return self.signed(self.claims, {**self.head, **head})

    def by_hand(self, head: dict[str, Any], claims: Claims, signature: str | None = None) -> str:
        parts = [_b64(json.dumps(part).encode()) for part in (head, claims)]
        return ".".join([*parts, self.good.split(".")[2] if signature is None else signature])

    def confused(self, key: bytes, algorithm: str = "HS256") -> str:
        """Signed with the public key as if it were a secret (key confusion); by hand, for the library refuses to."""
        head = {"alg": algorithm, "typ": "JWT", **self.head}
        text = ".".join(_b64(json.dumps(part).encode()) for part in (head, self.claims))
        digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
        return f"{text}.{_b64(hmac.new(key, text.encode(), digest).digest())}"

    def with_own_key(self) -> str:
        """Signed with a key that the head brings along (CVE-2018-0114)."""
        own = Ed25519PrivateKey.generate()
        raw = own.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        head = {**self.head, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": _b64(raw)}}
        return jwt.encode(self.claims, own, algorithm=ALGORITHM, headers=head)

    @property
    def raw_public(self) -> bytes:
        loaded = serialization.load_pem_public_key(self.public)
        return loaded.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


NOW = int(time.time())
FORGED: dict[str, Callable[[Forge], str]] = {
    "alg none": lambda forge: jwt.encode(forge.claims, "", algorithm="none", headers=forge.head),
    "alg none, the signature kept": lambda forge: forge.by_hand({"alg": "none", **forge.head}, forge.claims),
    "alg NonE": lambda forge: forge.by_hand({"alg": "NonE", **forge.head}, forge.claims, ""),
    "no alg": lambda forge: forge.by_hand(forge.head, forge.claims),
    "HS256 with the public key in PEM": lambda forge: forge.confused(forge.public),
    "HS256 with the public key's bytes": lambda forge: forge.confused(forge.raw_public),
    "HS384 with the public key in PEM": lambda forge: forge.confused(forge.public, "HS384"),
    "HS512 with the public key in PEM": lambda forge: forge.confused(forge.public, "HS512"),
    "HS256 with an empty key": lambda forge: forge.confused(b""),
    "another key": lambda forge: jwt.encode(
        forge.claims, Ed25519PrivateKey.generate(), algorithm=ALGORITHM, headers=forge.head
    ),
    "no signature": lambda forge: forge.good.rpartition(".")[0] + ".",
    "signature cut": lambda forge: forge.good[:-8],
    "payload of another user, signature kept": lambda forge: forge.by_hand(
        {"alg": ALGORITHM, "typ": "JWT", **forge.head}, {**forge.claims, "sub": str(uuid4())}
    ),
    "payload without the end, signature kept": lambda forge: forge.by_hand(
        {"alg": ALGORITHM, "typ": "JWT", **forge.head}, {**forge.claims, "exp": NOW + 10**9}
    ),
    "two tokens in one": lambda forge: f"{forge.good}.{forge.good}",
    "unknown kid": lambda forge: forge.with_head(kid="0" * 16),
    "kid a path": lambda forge: forge.with_head(kid="../../../../dev/null"),
    "kid the private key's file": lambda forge: forge.with_head(kid="token.key"),
    "kid a statement": lambda forge: forge.with_head(kid="' OR 1=1 --"),
    "no kid": lambda forge: forge.signed(forge.claims, {}),
    "kid a list": lambda forge: forge.by_hand({"alg": ALGORITHM, "kid": [forge.head["kid"]]}, forge.claims),
    "a key of its own in the head": lambda forge: forge.with_own_key(),
    "a key's address in the head": lambda forge: forge.with_head(kid="x", jku="http://127.0.0.1:9/keys"),
    "an unknown critical head": lambda forge: forge.by_hand(
        {"alg": ALGORITHM, "crit": ["b64"], "b64": False, **forge.head}, forge.claims
    ),
    "expired": lambda forge: forge.signed({**forge.claims, "iat": 1, "exp": 2}),
    "not begun": lambda forge: forge.signed({**forge.claims, "nbf": NOW + 3600}),
    "issued tomorrow": lambda forge: forge.signed({**forge.claims, "iat": NOW + 86_400, "exp": NOW + 90_000}),
    "another audience": lambda forge: forge.signed({**forge.claims, "aud": "elsewhere"}),
    "another issuer": lambda forge: forge.signed({**forge.claims, "iss": "elsewhere"}),
    "without exp": lambda forge: forge.without("exp"),
    "without iat": lambda forge: forge.without("iat"),
    "without sub": lambda forge: forge.without("sub"),
    "without aud": lambda forge: forge.without("aud"),
    "without iss": lambda forge: forge.without("iss"),
    "end a text": lambda forge: forge.signed({**forge.claims, "exp": "tomorrow"}),
    "sub no id": lambda forge: forge.signed({**forge.claims, "sub": "root"}),
    "sid no id": lambda forge: forge.signed({**forge.claims, "sid": "1"}),
    "sid a number": lambda forge: forge.signed({**forge.claims, "sid": 1}),
    "without epoch": lambda forge: forge.without("epoch"),
    "epoch of before": lambda forge: forge.signed({**forge.claims, "epoch": forge.claims["epoch"] - 1}),
    "the session of another user": lambda forge: forge.signed({**forge.claims, "sub": str(uuid4())}),
    "a machine that is a user": lambda forge: forge.signed({**forge.claims, "machine": True}),
    "a test token": lambda forge: forge.signed(
        {key: forge.claims[key] for key in ("iss", "aud", "iat", "exp")} | {"sub": str(uuid4()), "roles": ["ADM"]}
    ),
    "claims to be Salestream": lambda forge: forge.signed({**forge.claims, "roles": ["SYSTEM"], "sub": ""}),
    "a megabyte": lambda forge: "a" * 1_000_000,
    "a megabyte of dots": lambda forge: "." * 1_000_000,
    "a huge payload": lambda forge: forge.signed({**forge.claims, "aud": "elsewhere", "more": "x" * 1_000_000}),
    "a deep payload": lambda forge: ".".join([_b64(b'{"alg":"EdDSA"}'), _b64(b"[" * 100_000), "x"]),
    "no JSON": lambda forge: "a.b.c",
    "another script": lambda forge: "你.好.吗",
}  # fmt: skip


@pytest.mark.parametrize("how", FORGED)
def test_API2_a_token_that_was_not_given_out_is_refused(office: Office, how: str) -> None:
    """The same 401, whatever is wrong with it, and nothing changed."""
    forger = Caller(how, f"Bearer {FORGED[how](Forge(office))}")
    before = office.state()
    for request, body in (("GET /users", None), ("POST /departments", {"name": "Mine"}), ("GET /me", None)):
        told = office.call(request, body, forger)
        assert (told.status, told.code, told.body["field"]) == (401, "UNAUTHENTICATED", "Authorization"), told.body
        assert "eyJ" not in told.body["detail"]
    assert office.state() == before


def test_API2_the_good_token_is_good(office: Office) -> None:
    """Else the refusals above would mean nothing."""
    forge = Forge(office)
    assert office.call("GET /users", by=Caller("again", f"Bearer {forge.signed(forge.claims)}")).status == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic cm9vdDpyb290", "Token x", "Bearer  a b"])
def test_API2_another_scheme_is_refused(office: Office, header: str) -> None:
    assert office.call("GET /me", by=Caller("x", header)).status == 401


def test_API2_a_token_in_the_address_is_not_looked_at(office: Office) -> None:
    """Addresses end in logs and histories."""
    for name in ("access_token", "token", "authorization"):
        assert office.call("GET /me", query={name: [Forge(office).good]}).status == 401


# -- tokens that were given out ---------------------------------------------------------------------------------------


def test_API2_the_tokens_of_a_deleted_user_are_void_at_once(office: Office) -> None:
    gone = office.user("ADM")
    office.call("GET /users", by=gone).done()
    office.call(f"POST /users/{gone.user_id}/deletion", {"successor_id": office.admin.user_id}, office.admin).done()
    assert office.call("GET /users", by=gone).status == 401


def test_API2_a_token_of_before_the_password_change_is_void(office: Office) -> None:
    login = office.issue("ADM")
    limited = office.sign_in(login, DEFAULT)
    body = {"old_password": DEFAULT, "new_password": PASSWORD}
    office.call(f"POST /users/{limited.user_id}/password", body, limited).done()
    assert office.call("GET /me", by=limited).status == 401
    first, second = office.sign_in(login, PASSWORD), office.sign_in(login, PASSWORD)
    body = {"old_password": PASSWORD, "new_password": "Another#2026"}
    office.call(f"POST /users/{first.user_id}/password", body, first).done()
    assert [office.call("GET /me", by=by).status for by in (first, second)] == [401, 401]


def test_API2_a_machines_token_opens_nothing_that_is_a_persons(office: Office) -> None:
    machine = office.machine(("accounts", "ALL"), ("products.view", "ALL"))
    office.call("GET /products", by=machine).done()
    for request, body in (
        ("GET /me", None),
        ("GET /colleagues", None),
        (f"DELETE /sessions/{office.admin.session_id}", None),
        (f"POST /users/{machine.user_id}/password", {"old_password": "x", "new_password": PASSWORD}),
        (f"PATCH /users/{machine.user_id}/personal-data", {"name": "x"}),
        (f"POST /users/{machine.user_id}/second-factor", {"method": "TOTP", "password": "x"}),
    ):
        told = office.call(request, body, machine)
        assert (told.status, told.code) == (403, "FORBIDDEN"), request


def test_API2_a_refresh_token_shown_twice_ends_the_session_for_both(office: Office) -> None:
    login = office.issue("SAL")
    office._accept(office.sign_in(login, DEFAULT))
    told = office.call("POST /sessions", {"name": login, "password": PASSWORD}).done()
    thief = owner = Caller("", f"Bearer {told['access_token']}")
    path, stolen = f"POST /sessions/{told['id']}/refresh", {"refresh_token": told["refresh_token"]}
    fresh = office.call(path, stolen).done()
    owner = Caller("", f"Bearer {fresh['access_token']}")
    office.call("GET /me", by=owner).done()
    assert office.call(path, stolen).status == 401
    assert [office.call("GET /me", by=by).status for by in (owner, thief)] == [401, 401]
    assert office.call(path, {"refresh_token": fresh["refresh_token"]}).status == 401


def test_API2_tokens_of_one_kind_are_none_of_another(office: Office) -> None:
    """An access token refreshes nothing, a refresh token opens nothing, a session id is no secret."""
    user = office.user("SAL")
    assert user.authorization
    access = user.authorization.removeprefix("Bearer ")
    told = office.call("POST /sessions", {"name": "root", "password": PASSWORD}).done()
    assert office.call("GET /me", by=Caller("", f"Bearer {told['refresh_token']}")).status == 401
    assert office.call("GET /me", by=Caller("", f"Bearer {told['id']}")).status == 401
    wrong = {"refresh_token": access[:500]}
    assert office.call(f"POST /sessions/{user.session_id}/refresh", wrong).status == 401
    assert office.call(f"POST /sessions/{new_id()}/refresh", {"refresh_token": told["refresh_token"]}).status in (
        401,
        404,
    )


def test_API2_test_tokens_are_off_unless_somebody_switches_them_on(office: Office) -> None:
    """A token that tells its own roles is for tests; the default is off."""
    from chassis.foundation.config import Config

    assert Config().test_tokens == 0
    assert Config.from_env({}).test_tokens == 0
    assert office.config.test_tokens == 0
