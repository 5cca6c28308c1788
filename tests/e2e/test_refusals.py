"""Refusals over HTTP with everything running: in the caller's language, or the company's (ORD-07, SET-02)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from component.support import Company, add_customer, add_product, problem_of, yuan

from contracts.languages import LANGUAGES


@pytest.fixture(scope="module")
def product(company: Company) -> str:
    return add_product(company.wang)


def told(company: Company, code: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, str]:
    """What is said in each language, and in the company's to who names none; all else is the same."""
    problems = {}
    for language in (*LANGUAGES, ""):
        headers = {"Accept-Language": language} if language else {}
        answer = company.li.send(method, path, body, headers=headers, **more)
        problem = problem_of(answer, code)
        assert answer.headers["content-language"] == (language or "zh")
        problems[language] = problem
    details = {language: str(problem.pop("detail")) for language, problem in problems.items()}
    words = ("title", "errors")
    same = [{name: one for name, one in problem.items() if name not in words} for problem in problems.values()]
    assert all(one == same[0] for one in same)
    return details


def test_ord_07_an_order_is_refused_in_the_language_of_the_caller(company: Company, product: str) -> None:
    order = {"customer_id": str(uuid.uuid4()), "lines": [{"product_id": product, "quantity": 1}]}
    details = told(company, "NOT_FOUND", "POST", "/orders", order)
    assert details["zh"].startswith("找不到该客户。") and details["ja"].startswith("該当する顧客がありません。")
    assert details["zh"] == details[""] and details["en"].startswith("There is no such customer.")


def test_ord_07_the_fields_of_a_form_are_told_in_words(company: Company, product: str) -> None:
    customer = add_customer(company.li)
    order = {"customer_id": customer, "lines": [{"product_id": product, "quantity": 0}], "order_date": "tomorrow"}
    answer = company.li.send("POST", "/orders", order, headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    problem = problem_of(answer, "VALIDATION")
    assert (problem["title"], problem["reason"]) == ("输入有误", "forms.invalid")
    by_field = {error["field"]: error for error in problem["errors"]}
    assert by_field["lines.0.quantity"]["messages"] == ["应在 1 到 1000000000 之间。"]
    assert by_field["lines.0.quantity"]["reasons"] == [
        {"reason": "forms.between", "params": {"least": 1, "most": 1000000000}}
    ]
    assert by_field["order_date"]["messages"] == ["应为日期，例如 2026-01-31。"]


def test_ord_07_lists_and_rights_too(company: Company) -> None:
    details = told(company, "VALIDATION", "GET", "/orders", params={"sort": "nope"})
    assert "次のいずれかを指定してください" in details["ja"] and details["zh"] == details[""]
    prices = {"purchase": yuan("1"), "sale": yuan("2"), "member": yuan("2")}
    details = told(company, "FORBIDDEN", "POST", "/products", {"name": "x", "model": "y", "prices": prices})
    assert details["zh"].startswith("您的角色没有权限“") and "products." not in details["zh"]


def test_ord_07_before_there_is_a_caller(company: Company) -> None:
    """Nobody is known yet, and the gateway knows no company."""
    asked = company.http.get("/orders", headers={"Accept-Language": "ja"})
    assert problem_of(asked, "UNAUTHENTICATED")["detail"].startswith("トークンを送ってください")
    asked = company.http.get("/nothing", headers={"Accept-Language": "zh"})
    assert problem_of(asked, "NOT_FOUND")["detail"] == "没有这个网址。"
