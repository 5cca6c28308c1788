"""Comments, files and views of records on a running system, for whoever may see the record (COL-09, UIX-07).

It keeps its files by a server that speaks S3; a folder is what all other systems of the tests have.
"""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from component.gateway import gateway
from component.persons import documents, octets, salestream
from component.s3 import s3_server, settings
from component.support import (
    Company,
    Person,
    add_customer,
    add_order,
    add_product,
    await_views,
    config_of,
    environment,
    eventually,
    problem_of,
    running,
    until,
)

from chassis.files.opening import open_files
from chassis.http.files import AT_ONCE
from chassis.messaging.consistency import HEADER
from chassis.testing.records import new_record
from contracts.declare import REGISTRY
from contracts.records import KINDS, Kind
from deploy.devstack.server import HOST
from deploy.local.system import LocalSystem

REGISTRY.load()
TEXT, NAME = "佐藤さんは毎朝九時に電話 ring Sato", "見積書 佐藤様 (最新版).pdf"
PDF = b"%PDF-1.7\n" + os.urandom(200_000)
MOST = 60_000_000
ALL_KINDS = [pytest.param(kind, id=kind.what) for kind in KINDS.values()]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """One of its own: it is stopped, its files are looked at, and a person is erased."""
    folder = tmp_path_factory.mktemp("collaboration")
    with s3_server() as address:
        own = environment(folder, MAX_FILE_BYTES=str(MOST), MAX_BODY_SECONDS="5", **settings(address))
        with running(LocalSystem.from_env(own)) as system:
            yield system


@pytest.fixture(scope="module")
def company(system: LocalSystem) -> Iterator[Company]:
    company = Company(config_of(system), system.api.own_address)
    await_views(company)
    yield company
    company.close()


def upload(
    by: Person, content: Any = PDF, http: httpx.Client | None = None, *, type: str = "text/html"
) -> httpx.Response:
    sent = {"Authorization": f"Bearer {by.token}", "Content-Type": type}
    return (http or by.company.http).post("/files", content=content, headers=sent)


def uploaded(by: Person, content: Any = PDF) -> dict[str, Any]:
    answer = upload(by, content)
    assert answer.status_code == 201, answer.text
    by.company.remember(answer.headers[HEADER])
    found: dict[str, Any] = answer.json()
    return found


def attach(by: Person, customer: str, name: str = NAME, content: Any = PDF, **more: str) -> str:
    body = {"subject_kind": "customer", "subject_id": customer, "file_id": uploaded(by, content)["id"], "name": name}
    return str(by.post("/attachments", body | more)["id"])


def comment(by: Person, id: str, kind: str = "customer", text: str = TEXT, **more: Any) -> str:
    return str(by.post("/comments", {"subject_kind": kind, "subject_id": id, "text": text, **more})["id"])


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_col_09_uix_07_every_kind_of_record_has_comments_and_views(company: Company, kind: Kind) -> None:
    admin = company.admin
    id = str(admin.post(kind.path, new_record(kind, admin.enter))["id"])
    first, second = (comment(admin, id, kind.code, f"第{n}") for n in (1, 2))
    assert [row["id"] for row in admin.items("/comments", subject_id=id)] == [second, first]
    admin.do("POST", "/viewings", {"subject_kind": kind.code, "subject_id": id})
    newest = admin.get("/recently-viewed", limit=1)["items"][0]
    assert (newest["subject_kind"], newest["subject_id"]) == (kind.code, id)
    admin.do("DELETE", f"{kind.path}/{id}")
    assert admin.items("/comments", subject_id=id) == []
    assert id not in {row["subject_id"] for row in admin.items("/recently-viewed")}
    admin.assert_refused("NOT_FOUND", "GET", f"/comments/{first}")
    admin.do("POST", f"{kind.path}/{id}/restore")
    assert len(admin.items("/comments", subject_id=id)) == 2
    assert admin.get("/recently-viewed", limit=1)["items"][0]["subject_id"] == id


def test_col_09_who_sees_a_record_sees_what_is_said_of_it_in_every_form(company: Company) -> None:
    li, tanaka, sato, admin = company.li, company.tanaka, company.sato, company.admin
    customer = add_customer(li)
    mine = comment(li, customer, mentions=[str(sato.principal.user_id)])
    theirs = comment(sato, customer, text="=1+1 well done")
    order = add_order(li, customer, (add_product(company.wang), 1, None))
    on_order = comment(li, order, "order")
    for by, there in ((li, 3), (sato, 3), (tanaka, 0), (company.wang, 1), (admin, 3)):
        told = by.get("/comments", subject_id=[customer, order], count="true", group="subject_id")
        assert (len(told["items"]), told["total"], sum(one["count"] for one in told["groups"])) == (there,) * 3
        file = by.send("GET", "/comments", params={"subject_id": [customer, order], "format": "csv"})
        assert len(file.text.splitlines()) == there + 1
        pages = [by.get("/comments", subject_id=[customer, order], limit=1)]
        while pages[-1]["next"]:
            pages.append(by.get("/comments", subject_id=[customer, order], limit=1, cursor=pages[-1]["next"]))
        assert sum(len(page["items"]) for page in pages) == there
        assert by.send("GET", f"/comments/{on_order}").status_code == (200 if there else 404)
    assert [row["id"] for row in sato.items("/comments", mentioned_ids=str(sato.principal.user_id))] == [mine]
    assert [row["id"] for row in li.items("/comments", q="毎朝", subject_kind="customer")] == [mine]
    told = li.assert_refused("VALIDATION", "GET", "/comments", params={"subject_kind": "comment"})
    assert told["field"] == "subject_kind"

    assert tanaka.assert_refused("NOT_FOUND", "PATCH", f"/comments/{mine}", {"text": "x"})["field"] == "comment_id"
    assert tanaka.assert_refused("NOT_FOUND", "POST", "/comments", {
        "subject_kind": "customer", "subject_id": customer, "text": "x",
    })["field"] == "subject_id"  # fmt: skip
    sato.do("PUT", f"/customers/{customer}/owner", {"owner_id": str(tanaka.principal.user_id)})
    assert {row["id"] for row in tanaka.items("/comments", subject_id=customer)} == {mine, theirs}
    assert li.items("/comments", subject_id=customer) == []
    li.assert_refused("NOT_FOUND", "PATCH", f"/comments/{mine}", {"text": "x"})
    problem = sato.assert_refused("VALIDATION", "POST", "/comments", {
        "subject_kind": "customer", "subject_id": customer, "text": "x", "mentions": [str(li.principal.user_id)],
    })  # fmt: skip
    assert problem["field"] == "mentions"
    sato.do("DELETE", f"/comments/{theirs}")
    assert [row["id"] for row in tanaka.items("/comments", subject_id=customer)] == [mine]


def test_uix_07_views_are_ones_own_and_who_viewed_needs_a_right(company: Company) -> None:
    li, sato, admin = company.li, company.sato, company.admin
    first, second = add_customer(li), add_customer(li)
    for by, id in ((li, first), (li, second), (li, first), (sato, second)):
        by.do("POST", "/viewings", {"subject_kind": "customer", "subject_id": id})
    assert [row["subject_id"] for row in li.items("/recently-viewed")][:2] == [first, second]
    assert [row["subject_id"] for row in sato.items("/recently-viewed")][:1] == [second]
    assert {row["viewer_id"] for row in admin.items("/recently-viewed")} <= {str(admin.principal.user_id)}
    li.assert_refused("FORBIDDEN", "GET", "/viewings")
    seen = admin.items("/viewings", subject_id=[first, second])
    assert [row["viewer"] for row in seen] == ["sato", "li", "li", "li"]


def test_col_09_a_file_is_uploaded_attached_and_saved_under_its_name_by_whom_its_record_is_seen(
    company: Company,
) -> None:
    li, tanaka = company.li, company.tanaka
    customer = add_customer(li)
    told = uploaded(li)
    assert told | {"id": 0} == {
        "id": 0, "size": len(PDF), "sha256": sha256(PDF).hexdigest(), "media_type": "application/pdf",
    }  # fmt: skip
    said = comment(li, customer, text="see the file")
    attachment = attach(li, customer, comment_id=said)
    [row] = li.items("/attachments", subject_id=customer, comment_id=said)
    assert (row["id"], row["name"], row["size"], row["sha256"]) == (attachment, NAME, len(PDF), told["sha256"])
    place = f"/attachments/{attachment}/content"
    answer = li.send("GET", place)
    assert answer.content == PDF and answer.headers["content-length"] == str(len(PDF))
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"].endswith(f"filename*=UTF-8''{quote(NAME, safe='')}")
    assert answer.headers["content-disposition"].startswith('attachment; filename="___ ___ (___).pdf"')
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    tanaka.assert_refused("NOT_FOUND", "GET", place)
    li.assert_refused("NOT_FOUND", "GET", f"/attachments/{uuid4()}/content")
    li.assert_refused("NOT_FOUND", "GET", "/attachments/nonsense/content")
    eventually(lambda: _downloads(company, attachment, ["DONE", "NOT_FOUND"]))
    page = attach(li, customer, "mine.html", b"<!DOCTYPE html><script>alert(1)</script>")
    answer = li.send("GET", f"/attachments/{page}/content")
    assert answer.headers["content-type"] == "application/octet-stream"
    li.do("DELETE", f"/attachments/{attachment}")
    li.assert_refused("NOT_FOUND", "GET", place)
    assert [row["id"] for row in li.items("/attachments", subject_id=customer)] == [page]


def _downloads(company: Company, attachment: str, results: list[str]) -> None:
    found = company.admin.items("/audit", action="download_file", object_id=attachment)
    assert sorted(entry["result"] for entry in found) == results


def test_col_09_an_upload_is_refused_with_its_way_out_and_leaves_nothing(company: Company, system: LocalSystem) -> None:
    li, incoming = company.li, Path(system.settings()["FILES_DIR"]) / "incoming"
    too_large = problem_of(upload(li, bytes(MOST + 1)), "TOO_LARGE")
    assert too_large["params"] == {"most": MOST} and str(MOST) in too_large["detail"]
    problem_of(upload(li, iter([bytes(1_000_000)] * 61)), "TOO_LARGE")
    assert problem_of(upload(li, b""), "VALIDATION")["field"] == "body"
    form = upload(li, b"--x\r\n", type="multipart/form-data; boundary=x")
    assert problem_of(form, "VALIDATION")["field"] == "Content-Type"
    unsigned = company.http.post("/files", content=b"x")
    assert unsigned.status_code == 401
    assert list(incoming.iterdir()) == []


@pytest.mark.parametrize("whole", [True, False], ids=["length", "chunked"])
def test_col_09_an_upload_that_stops_coming_is_told_so_and_takes_up_no_room(
    company: Company, system: LocalSystem, whole: bool
) -> None:
    li, incoming = company.li, Path(system.settings()["FILES_DIR"]) / "incoming"
    length = f"Content-Length: {len(PDF)}" if whole else "Transfer-Encoding: chunked"
    head = f"POST /files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {li.token}\r\n{length}\r\n\r\n"
    piece = PDF[: len(PDF) // 2]
    sent = head.encode() + (piece if whole else b"%x\r\n" % len(PDF) + piece)
    with ExitStack() as stalled:
        senders = [stalled.enter_context(socket.create_connection((HOST, system.api.port), 60)) for _ in range(AT_ONCE)]
        for sender in senders:
            sender.sendall(sent)
        until(lambda: len(list(incoming.iterdir())) == AT_ONCE)
        assert problem_of(upload(li), "RATE_LIMITED")["params"] == {"most": AT_ONCE}
        for sender in senders:
            answer = b"".join(iter(partial(sender.recv, 65_536), b""))
            assert answer.startswith(b"HTTP/1.1 400 ") and b'"code":"VALIDATION"' in answer, answer
            assert b'"field":"body"' in answer and b"Connection: close" in answer, answer
    assert list(incoming.iterdir()) == []
    assert uploaded(li)["size"] == len(PDF)


def test_col_09_a_file_goes_through_a_gateway_of_its_own_in_pieces(
    company: Company, system: LocalSystem, tmp_path: Path
) -> None:
    li, content = company.li, os.urandom(50_000_000)
    with (
        gateway(system.api.own_address, system, tmp_path, MAX_FILE_BYTES=str(MOST)) as process,
        httpx.Client(base_url=process.own_address, timeout=60) as http,
    ):
        answer = upload(li, content, http)
        assert answer.status_code == 201, answer.text
        assert answer.json()["sha256"] == sha256(content).hexdigest()
        problem_of(upload(li, bytes(MOST + 1), http), "TOO_LARGE")
        customer = add_customer(li)
        company.remember(answer.headers[HEADER])
        body = {"subject_kind": "customer", "subject_id": customer, "file_id": answer.json()["id"], "name": "big"}
        attachment = li.post("/attachments", body)["id"]
        sent = {"Authorization": f"Bearer {li.token}", HEADER: company.seen}
        got = http.get(f"/attachments/{attachment}/content", headers=sent)
        assert got.content == content and "attachment" in got.headers["content-disposition"]


def test_col_09_one_person_sends_three_files_at_once_and_others_go_on(company: Company) -> None:
    li, sato = company.li, company.sato
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def slowly() -> Iterator[bytes]:
        yield b"a" * 100_000
        begun.release()
        go_on.wait(30)
        yield b"b"

    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(upload(li, slowly()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert begun.acquire(timeout=30)
    eventually(lambda: problem_of(upload(li, b"x"), "RATE_LIMITED"))
    assert uploaded(sato, io.BytesIO(b"another"))["size"] == 7
    go_on.set()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 3
    uploaded(li, b"x")


def test_cpl_01_all_is_there_after_a_restart_and_a_rebuild_and_nothing_of_who_was_erased(
    company: Company, system: LocalSystem
) -> None:
    li, sato = company.li, company.sato
    customer, other = add_customer(li), add_customer(li)
    order = add_order(li, customer, (add_product(company.wang), 1, None))
    kept = comment(li, other, text="remains")
    text, name, pdf = f"{TEXT} {uuid4()}", f"{uuid4()} {NAME}", b"%PDF-1.7\n" + os.urandom(90_000)
    said = [comment(li, customer, text=text), comment(sato, order, "order", text)]
    attachment, stays = attach(li, customer, name, pdf), attach(li, other, "stays.pdf", pdf)
    contact = {"subject_kind": "customer", "subject_id": customer, "way": "PHONE", "text": text, "response": name}
    li.post("/communications", contact)
    li.do("POST", "/viewings", {"subject_kind": "customer", "subject_id": customer})
    for process in system.processes:
        process.stop()
    system.up()
    await_views(company)

    def shown() -> dict[str, Any]:
        wanted = {"subject_id": [customer, order, other]}
        lists = {path: li.items(path, **wanted) for path in ("/comments", "/attachments", "/communications")}
        return lists | {"viewed": li.items("/recently-viewed")}

    before = shown()
    assert {row["id"] for row in before["/comments"]} == {kept, *said}
    assert li.send("GET", f"/attachments/{attachment}/content").content == pdf
    for view in ("comments", "attachments", "communications", "customers", "recently_viewed", "viewings"):
        rebuilt = salestream(system, "views", "rebuild", view)
        assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    assert shown() == before

    erased = salestream(system, "persons", "erase", customer)
    assert erased.returncode == 0, erased.stdout + erased.stderr
    personal = [text.encode(), name.encode()]
    told = [place for place, content in (*octets(system), *documents(config_of(system)))
            if any(one in content for one in personal)]  # fmt: skip
    assert told == []
    files = open_files(config_of(system))
    holding = [kept.id for kept in files.kept() if b"".join(files.open(kept.id)) == pdf]
    assert len(holding) == 1, "that of the other customer"
    for process in system.processes:
        process.stop()
    system.up()
    await_views(company)
    after = shown()
    texts = {row["id"]: row["text"] for row in after["/comments"]}
    assert texts == {kept: "remains", said[0]: "", said[1]: ""}
    assert [(row["text"], row["response"], row["way"]) for row in after["/communications"]] == [("", "", "PHONE")]
    names = {row["id"]: row["name"] for row in after["/attachments"]}
    assert names == {attachment: "", stays: "stays.pdf"}
    assert li.assert_refused("NOT_FOUND", "GET", f"/attachments/{attachment}/content")["reason"] == "files.gone"
    assert li.send("GET", f"/attachments/{stays}/content").content == pdf
    refused = li.assert_refused("INVALID_STATE", "POST", "/comments", {
        "subject_kind": "order", "subject_id": order, "text": "again",
    })  # fmt: skip
    assert refused["state"] == "ERASED"
    verified = salestream(system, "verify", "--wait", "30")
    assert verified.returncode == 0, verified.stdout + verified.stderr
