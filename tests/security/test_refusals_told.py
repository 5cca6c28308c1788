"""What a refusal says to whom: the language asked for, with one reason and its parameters (ORD-07, SET-02, UIX-01)."""

import re
from typing import Any

import pytest

from chassis.http.problems import unknown_route
from contracts.declare import REGISTRY, CommandSpec
from contracts.languages import LANGUAGES
from contracts.reasons import reasons
from security.office import PASSWORD, Office, new_id

PUBLIC = [spec for spec in REGISTRY.commands.values() if spec.is_public]
HAN = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
UNTOLD = ("title", "detail")
"""What differs from language to language; all else must be the same."""
NO_LANGUAGE = {"accept-language": ""}


def in_each(office: Office, request: str, body: Any = None, **more: Any) -> dict[str, Any]:
    """The problems of one request, by language."""
    return {
        language: office.call(request, body, office.admin, headers={"accept-language": language}, **more).body
        for language in LANGUAGES
    }


def without_words(problem: dict[str, Any]) -> dict[str, Any]:
    errors = [{**error, "messages": len(error["messages"])} for error in problem.get("errors", ())]
    return {**{name: told for name, told in problem.items() if name not in UNTOLD}, "errors": errors}


@pytest.mark.parametrize("spec", PUBLIC, ids=lambda spec: spec.name)
def test_ord_07_every_command_tells_its_field_errors_in_each_language(office: Office, spec: CommandSpec) -> None:
    """A field that there is not, and all that must be given left out."""
    path = re.sub("{[a-z_]+_id}", lambda _: new_id(), str(spec.path))
    told = in_each(office, f"{spec.method} {re.sub('{[a-z_]+}', 'SAL', path)}", {"nope": 1})
    assert {problem["code"] for problem in told.values()} <= {"VALIDATION", "NOT_FOUND"}
    assert without_words(told["zh"]) == without_words(told["ja"]) == without_words(told["en"])
    for language in ("zh", "ja"):
        problem = told[language]
        assert HAN.search(problem["detail"]) and HAN.search(problem["title"]), problem
        assert problem["reason"] in reasons()
        for error in problem.get("errors", ()):
            assert all(map(HAN.search, error["messages"])), error
            assert len(error["reasons"]) == len(error["messages"])
    assert told["zh"]["detail"] != told["ja"]["detail"] and not HAN.search(told["en"]["detail"])


def test_set_02_refusals_are_in_the_language_set_asked_for_or_the_company_s(office: Office) -> None:
    """As everything else is; a browser in French, and who asks for nothing, is told in the company's language."""

    def detail(**headers: str) -> str:
        given = {**NO_LANGUAGE, **{name.replace("_", "-"): told for name, told in headers.items()}}
        told = office.call(f"GET /orders/{new_id()}", by=office.admin, headers=given)
        assert (told.code, told.body["reason"], told.body["params"]) == (
            "NOT_FOUND", "records.unknown", {"kind": "order"},
        )  # fmt: skip
        assert told.response.headers["Vary"] == "Accept-Language"
        return f"{told.response.headers['Content-Language']} {told.body['detail']}"

    assert detail() == "zh 找不到该订单。"
    assert detail(accept_language="fr") == "zh 找不到该订单。"
    assert detail(accept_language="fr, ja-JP;q=0.8") == "ja 該当する受注がありません。"
    assert detail(accept_language="en-GB") == "en There is no such order."


def test_ord_07_the_results_of_a_bulk_command_are_told_in_the_language_of_the_request(office: Office) -> None:
    items = [{"command": {"name": ""}}, {"command": {"name": "Xiaomi", "nope": 1}}]
    told = office.call("POST /bulk/add-product", {"items": items}, office.admin, headers={"accept-language": "ja"})
    assert told.response.headers["Content-Language"] == "ja"
    for result in told.done()["results"]:
        assert result["status"] == 400 and HAN.search(result["body"]["detail"])
        assert all(HAN.search(text) for error in result["body"]["errors"] for text in error["messages"])


def test_ord_07_lists_and_sign_in_are_refused_in_words(office: Office) -> None:
    told = in_each(office, "GET /orders", query={"sort": ["nope"]})
    assert told["ja"]["detail"].startswith("sort：次のいずれかを指定してください：")
    assert told["zh"]["params"]["names"] == told["en"]["params"]["names"] != []
    wrong = in_each(office, "POST /sessions", {"name": "nobody", "password": "Wrong#2026"})
    assert wrong["zh"]["detail"] == "用户名或密码错误。" and wrong["zh"]["reason"] == "access.wrong"


def test_uix_01_the_metadata_tell_the_reasons_of_each_code(office: Office) -> None:
    told = office.call("GET /metadata", by=office.admin, query={"language": ["zh"]}).done()
    [duplicate] = [one for one in told["errors"] if one["code"] == "DUPLICATE"]
    [taken] = [one for one in duplicate["reasons"] if one["reason"] == "records.taken"]
    assert taken["text"] == "{what}已被其他记录使用（{holder}），请换一个。" and taken["params"] == ["holder", "what"]
    assert sum(len(one["reasons"]) for one in told["errors"]) == len(reasons())


def test_set_02_before_anybody_signs_in_it_is_the_language_asked_for_or_the_company_s(office: Office) -> None:
    """Signing in, recovering a password, and addresses that there are not: in one order, which one place decides."""
    wrong = {"name": "nobody", "password": "Wrong#2026"}

    def languages() -> set[str]:
        refused = [
            office.call("POST /sessions", wrong, headers=NO_LANGUAGE),
            office.call("GET /orders", headers=NO_LANGUAGE),
            office.call("POST /password-resets", {"nope": 1}, headers=NO_LANGUAGE),
            office.call("GET /orders", by=office.admin, query={"sort": ["nope"]}, headers=NO_LANGUAGE),
            office.serve(unknown_route(office.routes, office.api.told_in), {}, headers=NO_LANGUAGE),
        ]
        assert all(told.code for told in refused)
        return {told.response.headers["Content-Language"] for told in refused}

    assert languages() == {"zh"}
    office.call("PUT /settings/company", {"language": "ja"}, office.admin).done()
    try:
        assert languages() == {"ja"}
        told = office.call("POST /sessions", wrong, headers={"accept-language": "en"})
        assert told.response.headers["Content-Language"] == "en"
    finally:
        office.call("PUT /settings/company", {"language": "zh"}, office.admin).done()


def test_sec_09_set_02_a_code_is_written_in_the_language_of_who_gets_it(office: Office) -> None:
    seller = office.user("SAL", email=f"{new_id()[:8]}@example.com")

    def code(**headers: str) -> str:
        body = {"method": "MAIL", "password": PASSWORD}
        office.call(
            f"POST /users/{seller.user_id}/second-factor", body, seller, headers={**NO_LANGUAGE, **headers}
        ).done()
        return office.mailbox.messages()[-1].text

    assert code().startswith("您的 Salestream 验证码")
    assert code(**{"accept-language": "en"}).startswith("Your Salestream code")
    office.call(f"PATCH /users/{seller.user_id}/preferences", {"language": "ja"}, seller).done()
    assert code(**{"accept-language": "en"}).startswith("Salestream の確認コード")
