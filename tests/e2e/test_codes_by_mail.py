"""A password is recovered with a code that comes by mail, in the running system (SEC-09, SEC-13)."""

from __future__ import annotations

from uuid import uuid4

from component.mail import Relay
from component.people import SETTINGS, Caller
from component.support import Company, until


def test_SEC_13_SEC_09_a_first_password_is_set_with_a_code_that_comes_by_mail(
    company: Company, relay: tuple[Relay, int]
) -> None:
    company.admin.do("PUT", "/settings/access", SETTINGS)
    login, address = f"u{uuid4()}"[:30], f"{uuid4()}@example.com"
    company.admin.post("/users", {"login": login, "name": "Zhou", "email": address, "roles": ["SAL"]})
    nobody = Caller(company)
    reset = nobody.do("POST", "/password-resets", {"name": login})["id"]

    [code] = until(lambda: relay[0].codes(address))
    nobody.do("POST", f"/password-resets/{reset}/password", {"code": code, "new_password": "YunKeSale@2024"})
    assert nobody.sign_in(login, "YunKeSale@2024").told["status"] == "SIGNED_IN"
