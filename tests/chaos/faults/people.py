"""What people do to it: races, keys used twice, nonsense, too much of everything; and operators who restart it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from uuid import UUID

import httpx
import psutil
from component.support import Person, add_product, eventually, until
from load.client import Answer, Caller, Job, at_once, connected, run_on
from load.client import run as run_jobs

from chassis.access.tokens import issue
from chassis.commands.idempotency import command_id_of
from chassis.model.saga import Process
from contracts.approvals import case_id_of
from deploy.devstack.server import HOST
from services.access.demo_users import demo_user
from services.inventory.domain import Deduction, StockItem, deduction_id, stock_id

from ..check import await_rest
from ..history import SURELY_NOT, Kind
from ..run import Run, Violated, assure, fault
from ..system import ChaosSystem
from .processes import COMMIT, order_submitted

BUYERS = 200
ROUNDS = 100
ORDER_ROUNDS = 3
CONNECTIONS = 64


def caller(system: ChaosSystem, user: str) -> Caller:
    token = issue(system.config, demo_user(user), seconds=3 * 3600)
    return Caller(f"{HOST}:{system.api.port}", token)


# -- races


@fault(18, "the last unit raced by 200 buyers", "I1", "I2", "I3")
def last_unit(run: Run) -> None:
    """Every round one unit is on hand, and 200 take it at once: at inventory itself, and as orders.

    At inventory one is carried out and 199 are refused with INSUFFICIENT_STOCK (INV-12).  As orders one ships; 199
    go on hold and have taken nothing (ORD-14).
    """
    rounds = run.rounds or ROUNDS
    run.system.restart("api", **run.system.past_the_proxies())
    for number in range(rounds):
        _race_at_inventory(run, number)
    run.note(f"{rounds} rounds of {BUYERS} at inventory")
    order_rounds = rounds * ORDER_ROUNDS // ROUNDS
    for number in range(order_rounds):
        _race_of_orders(run, number)
    run.note(f"{order_rounds} rounds of {BUYERS} orders")


def _race_at_inventory(run: Run, number: int) -> None:
    product = add_product(run.shop.company.wang, stock=1)
    wang = caller(run.system, "wang")
    outcomes: Counter[str] = Counter()

    def buy(buyer: int) -> Job:
        key = f"{run.shop.run}-race-{number}-{buyer}"
        id = command_id_of(run.shop.company.wang.principal, key)
        op = f"POST /products/{product}/adjustments"
        run.history.note("invoke", op, id)
        body = b'{"change": -1, "reason": "mine"}'
        answer = yield wang.request("POST", f"/products/{product}/adjustments", body, Idempotency_Key=key)
        reply = json.loads(answer.body)
        code = reply.get("code", "")
        kind: Kind = "ok" if answer.status == 200 else "fail" if answer.status < 500 else "unknown"
        run.history.note(kind, op, id, status=answer.status, code=code, reply=reply)
        outcomes[code or "ok"] += 1

    run_jobs((HOST, run.system.api.port), at_once(buy(n) for n in range(BUYERS)), CONNECTIONS)
    if outcomes != {"ok": 1, "INSUFFICIENT_STOCK": BUYERS - 1}:
        raise Violated(f"I3: round {number}: {dict(outcomes)}")
    item = run.system.store("inventory").load(StockItem, stock_id(UUID(product)))
    if item is None or item.on_hand != 0:
        raise Violated(f"I3: round {number}: {item and item.on_hand} on hand")


def _race_of_orders(run: Run, number: int) -> None:
    shop = run.shop
    product = add_product(shop.company.wang, stock=1)
    first = shop.draft(f"race-{number}-first", product=product)
    with ThreadPoolExecutor(16) as pool:
        others = list(pool.map(lambda n: shop.draft(f"race-{number}-{n}", product=product), range(1, BUYERS)))
        orders = [first, *others]
        list(pool.map(lambda order: shop.submit(order, f"race-{number}-{order}"), orders))

    def settled() -> Counter[str]:
        rows = shop.company.admin.items("/orders", limit=200)
        found = Counter(row["status"] for row in rows if row["id"] in set(orders))
        assert found == {"SHIPPED": 1, "ON_HOLD": BUYERS - 1}, found
        return found

    eventually(settled, seconds=120)


@fault(19, "one idempotency key, another body", "I1", "I2")
def key_used_twice(run: Run) -> None:
    """The second is refused with 409 and changes nothing; the first one's result is kept and given again."""
    shop, li = run.shop, run.shop.company.li
    line = {"product_id": shop.product, "quantity": 1}
    for number in range(run.rounds or 20):
        bodies = [{"customer_id": shop.customer, "lines": [line | {"quantity": q}]} for q in (1, 2)]
        first = shop.client.once(li, "POST", "/orders", bodies[0], f"key-{number}")
        other = shop.client.once(li, "POST", "/orders", bodies[1], f"key-{number}")
        again = shop.client.once(li, "POST", "/orders", bodies[0], f"key-{number}")
        if (first.kind, other.status, other.code, again.reply) != ("ok", 409, "KEY_REUSED", first.reply):
            raise Violated(f"I1: answered {first.status}, {other.status} {other.code}, {again.status}")
    with ThreadPoolExecutor(16) as pool:  # and at the same moment
        for number in range(run.rounds or 20):
            body = [{"customer_id": shop.customer, "lines": [line | {"quantity": q}]} for q in range(1, 9)]
            found = list(pool.map(lambda b, n=number: shop.client.once(li, "POST", "/orders", b, f"at-once-{n}"), body))
            if Counter(entry.kind for entry in found) != {"ok": 1, "fail": 7}:
                raise Violated(f"I1: eight bodies with one key: {[entry.kind for entry in found]}")


@fault(20, "cancel races ship; approved twice", "I6")
def opposite_wishes(run: Run) -> None:
    """An order is called off while it ships; two supervisors approve the same case.  One outcome, not both."""
    shop, company = run.shop, run.shop.company
    rounds = run.rounds or 30
    ended: Counter[str] = Counter()
    head_start = 0.0  # of the shipping, seconds: as long as neither always wins
    with ThreadPoolExecutor(8) as pool:
        for number in range(rounds):
            order = shop.draft(f"cancel-{number}")
            shop.submit(order, f"cancel-{number}-submit")
            _let_it_go_on(run, order, number)
            time.sleep(head_start)
            path, body = f"/orders/{order}/cancel", {"reason": "no more"}
            entry = shop.client.sure(company.li, "POST", path, body, f"cancel-{number}-cancel")
            wanted = "CANCELLED" if entry.kind == "ok" else "SHIPPED"
            page = shop.becomes(order, "CANCELLED", "SHIPPED")
            if page["status"] != wanted:
                raise Violated(f"I6: cancel was answered {entry.status} {entry.code}, the order is {page['status']}")
            ended[wanted] += 1
            head_start = head_start / 2 if wanted == "SHIPPED" else 1.5 * head_start + 0.005
        if rounds >= ENOUGH_RACES and len(ended) < 2:
            raise AssertionError(f"no race: all were {dict(ended)}")
        for number in range(rounds // 2):
            order = shop.draft(f"twice-{number}", price="5001.00")
            shop.submit(order, f"twice-{number}-submit")
            path = f"/approvals/{case_id_of(UUID(order), 1)}"
            eventually(lambda path=path: company.sato.get(path))  # type: ignore[misc]

            def approve(person: Person, path: str = path, number: int = number) -> str:
                key = f"twice-{number}-{person.principal.name}"
                entry = shop.client.once(person, "POST", f"{path}/approve", {"node": "SUPERVISOR"}, key)
                return entry.code or entry.kind

            codes = Counter(pool.map(approve, (company.sato, company.admin)))
            if codes["ok"] != 1 or codes.total() != 2 or codes["INTERNAL"]:
                raise Violated(f"I6: approved twice: {dict(codes)}")
            finance = shop.client.sure(company.chen, "POST", f"{path}/approve", {"node": "FINANCE"}, f"fin-{number}")
            assert finance.kind == "ok", finance
            shop.becomes(order, "SHIPPED")
    run.note(f"of {rounds} races {ended['CANCELLED']} were cancelled, {ended['SHIPPED']} shipped")


ENOUGH_RACES = 20


def _let_it_go_on(run: Run, order: str, number: int) -> None:
    """Wait until the order is one step further each time: the race is only one when both may win."""
    system = run.system
    if number % 4 == 1:
        until(lambda: system.store("fulfilment").load(Process, UUID(order)))
    elif number % 4 == 2:
        until(lambda: system.store("inventory").load(Deduction, deduction_id(UUID(order))))
    elif number % 4 == 3:
        until(lambda: "ship order" in _steps(system, order))


def _steps(system: ChaosSystem, order: str) -> set[str]:
    process = system.store("fulfilment").load(Process, UUID(order))
    return set(process.statuses) if process else set()


# -- nonsense


@fault(27, "bad input of every kind", "I2", "I11")
def nonsense(run: Run) -> None:
    """4xx with a problem that tells, quickly; no event, no 5xx, no hang."""
    system, shop = run.system, run.shop
    await_rest(system)
    before = {name: system.store(name).last_position() for name in ("orders", "inventory", "customers")}
    li = shop.company.li
    headers = {"Authorization": f"Bearer {li.token}", "Content-Type": "application/json"}
    url = system.api.own_address
    order = '{"customer_id": "%s", "lines": [{"product_id": "%s", "quantity": %%s}]}' % (shop.customer, shop.product)  # noqa: UP031
    priced = order % '1, "unit_price": %s'
    bodies: dict[str, str | bytes] = {
        "an unknown field": order[:-1] % 1 + ', "colour": "red"}',
        "NaN": order % "NaN",
        "Infinity": order % "Infinity",
        "1e309": order % "1e309",
        "10^30": order % 10**30,
        "-1": order % -1,
        "0": order % 0,
        "half": order % 0.5,
        "true": order % "true",
        "null": order % "null",
        "a negative price": priced % '"-1.00"',
        "a price with 20 decimals": priced % '"1.00000000000000000001"',
        "a price of 1e400": priced % "1e400",
        "a NUL": order[:-1] % 1 + ', "note": "a\\u0000b"}',
        "a lone surrogate": order[:-1] % 1 + ', "note": "\\ud800"}',
        "bytes that are no UTF-8": b'{"note": "\xff\xfe"}',
        "deep JSON": "[" * 100_000,
        "a deep object": '{"a":' * 50_000 + "1" + "}" * 50_000,
        "a list": "[]",
        "a text": '"hello"',
        "half a body": order[:20],
        "nothing": "",
        "10 MB": '{"note": "' + "x" * 10_000_000 + '"}',
        "an id that is none": '{"customer_id": "../../etc/passwd", "lines": []}',
        "no lines": '{"customer_id": "%s", "lines": []}' % shop.customer,  # noqa: UP031
        "operators of MongoDB": '{"customer_id": {"$ne": null}, "lines": [{"$gt": ""}]}',
    }
    wrong: list[str] = []
    with httpx.Client(base_url=url, timeout=10) as http:
        for name, body in bodies.items():
            started = time.monotonic()
            try:
                answer = http.post("/orders", content=body, headers=headers)
            except httpx.TransportError as error:
                wrong.append(f"{name}: {error!r}")
                continue
            told = answer.headers.get("content-type") == "application/problem+json"
            if not 400 <= answer.status_code < 500 or not told:
                wrong.append(f"{name}: {answer.status_code} {answer.text[:100]}")
            if time.monotonic() - started > 5:
                wrong.append(f"{name}: answered only after {time.monotonic() - started:.1f} s")
        wrong += _odd_requests(http, headers, shop.customer)
    wrong += _raw(system, li.token)
    lines = [{"product_id": shop.product, "quantity": 1}]
    note = "\u202e\u062f\u0644\u0648\u0639\u0629 right to left 客户"
    rtl = shop.client.sure(li, "POST", "/orders", {"customer_id": shop.customer, "lines": lines, "note": note}, "rtl")
    assert rtl.kind == "ok", rtl
    if wrong:
        raise Violated("I11: " + "; ".join(wrong[:6]))
    now = {name: system.store(name).last_position() for name in before}
    if now != before | {"orders": before["orders"] + 1}:
        raise Violated(f"I2: {before} became {now}: nonsense was stored")
    run.note(f"{len(bodies)} bodies refused")


def _odd_requests(http: httpx.Client, headers: dict[str, str], customer: str) -> list[str]:
    """Paths, headers and parameters instead of bodies."""
    wrong = []
    asked: list[tuple[str, str, dict[str, str]]] = [
        ("GET", "/orders?limit=1e9", {}),
        ("GET", "/orders?limit=-1", {}),
        ("GET", "/orders?cursor=%00%ff", {}),
        ("GET", "/orders?sort=$where", {}),
        ("GET", "/orders?status[$ne]=x", {}),
        ("GET", "/orders/not-an-id", {}),
        ("POST", "/orders/%2e%2e/submit", {}),
        ("DELETE", "/orders", {}),
        ("POST", "/orders", {"Idempotency-Key": "x" * 500}),
        ("POST", "/orders", {"If-Match": "*1"}),
        ("POST", "/orders", {"Content-Type": "text/xml"}),
        ("GET", "/orders", {"Salestream-Consistency": "orders.events:0=999999999999999999999"}),
        ("GET", "/orders", {"Authorization": "Bearer a.b.c"}),
    ]
    for method, path, more in asked:
        answer = http.request(method, path, headers={**headers, **more}, content=b"x" if method == "POST" else None)
        if not 400 <= answer.status_code < 500:
            wrong.append(f"{method} {path} {more}: {answer.status_code} {answer.text[:80]}")
    return wrong


def _raw(system: ChaosSystem, token: str) -> list[str]:
    """What no HTTP client would send.  The server may hang up; an answer must be 4xx; others must be served on."""
    wrong = []
    auth = f"Authorization: Bearer {token}\r\n".encode()
    requests = {
        "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        "a negative length": b"POST /orders HTTP/1.1\r\nHost: x\r\n" + auth + b"Content-Length: -5\r\n\r\n",
        "a length that is none": b"POST /orders HTTP/1.1\r\nHost: x\r\n" + auth + b"Content-Length: abc\r\n\r\n",
        "bad chunks": b"POST /orders HTTP/1.1\r\nHost: x\r\n" + auth
        + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "a header of 100 KB": b"GET /orders HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        "duplicate keys": b"POST /orders HTTP/1.1\r\nHost: x\r\n" + auth
        + b'Content-Type: application/json\r\nContent-Length: 26\r\n\r\n{"lines": [], "lines": []}',
    }  # fmt: skip
    for name, sent in requests.items():
        with socket.create_connection((HOST, system.api.port), timeout=10) as connection:
            try:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                got = connection.recv(4096)
            except TimeoutError:
                wrong.append(f"{name}: hangs")
                continue
            except OSError:
                continue
        if got.startswith(b"HTTP/") and not got.split(b" ")[1].startswith(b"4"):
            wrong.append(f"{name}: {got[:60]!r}")
    if not system.api.healthy():
        wrong.append("the api does not answer any more")
    return wrong


# -- too much, and restarts


@fault(34, "three times more than it can take", "I1", "I2")
def overload(run: Run) -> None:
    """Orders are written three times as fast as 64 callers who wait get them done, each at its own time (open loop).

    Who is not served is told 429 or 503 with Retry-After before anything is stored; who is served, in bounded time,
    counted from the moment at which the request was due.
    """
    system, shop = run.system, run.shop
    for name in system.processes:  # the proxies run in this process, and would slow down the client
        system.restart(name, **system.past_the_proxies())
    outcomes = _Outcomes(run)
    address = (HOST, system.api.port)
    orders = [outcomes.order(f"closed-{n}") for n in range(CLOSED)]
    capacity = CLOSED / run_jobs(address, at_once(outcomes.create(*order) for order in orders), CONNECTIONS)
    usual = outcomes.p99()
    bound = max(ACCEPTED_SECONDS, 2 * usual)  # the latter where others use the machine too
    run.note(f"{capacity:.0f} orders/s in closed loop, p99 {usual:.2f} s")
    outcomes.note()
    rate = 3 * capacity
    count = min(MOST_REQUESTS, int(rate * OVERLOAD_SECONDS))
    connections = connected(address, WAITING_CALLERS)
    orders = [outcomes.order(f"open-{n}") for n in range(count)]
    begin = time.perf_counter() + 0.1
    due = (begin + n / rate for n in range(count))
    run_on(connections, ((at, outcomes.create(*order, at)) for at, order in zip(due, orders, strict=True)))
    lag = _seconds_to_rest(system)
    p99, late = outcomes.p99(), outcomes.late
    statuses = outcomes.note()
    run.note(
        f"at {rate:.0f}/s for {count / rate:.1f} s: {statuses}, p99 of accepted {p99:.2f} s "
        f"(of it at most {late:.2f} s in the client), views {lag:.1f} s later"
    )
    if not set(statuses) <= {201, 429, 503}:
        raise Violated(f"I1: answered {statuses}")
    if outcomes.without_retry_after:
        raise Violated(f"I2: {outcomes.without_retry_after} refusals name no Retry-After")
    shop.sell_some(3)
    assure(run)
    if p99 > bound:
        raise Violated(f"p99 of accepted commands is {p99:.1f} s, more than {bound:.1f} s")


CLOSED = 600
OVERLOAD_SECONDS = 8.0
MOST_REQUESTS = 8_000
WAITING_CALLERS = 2_500
ACCEPTED_SECONDS = 2.0


class _Outcomes:
    """What was answered to orders.

    Requests are made before and answers are noted in the history afterwards: the client is not to be what takes long.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._li = caller(run.system, "li")
        line = {"product_id": run.shop.product, "quantity": 1, "unit_price": "10.00"}
        self._body = json.dumps({"customer_id": run.shop.customer, "lines": [line]}).encode()
        self._answered: list[tuple[str, float, Answer]] = []
        self.without_retry_after = 0
        self.late = 0.0
        """By how many seconds at most we ourselves were late to send."""

    def p99(self) -> float:
        """Seconds within which 99 of 100 accepted commands were answered."""
        accepted = sorted(seconds for _, seconds, answer in self._answered if answer.status == HTTPStatus.CREATED)
        return accepted[int(len(accepted) * 0.99)] if accepted else 0.0

    def order(self, name: str) -> tuple[str, bytes]:
        """The id and the request of an order."""
        key = f"{self._run.shop.run}-{name}"
        id = command_id_of(self._run.shop.company.li.principal, key)
        self._run.history.note("invoke", "POST /orders", id)
        return id, self._li.request("POST", "/orders", self._body, Idempotency_Key=key)

    def create(self, id: str, request: bytes, due: float = 0.0) -> Job:
        """Send it at a moment, or at once."""
        due = due or time.perf_counter()
        self.late = max(self.late, time.perf_counter() - due)
        answer: Answer = yield request
        self._answered.append((id, time.perf_counter() - due, answer))

    def note(self) -> dict[int, int]:
        """Write down what was answered since, and forget it.  Returns how often each status was."""
        statuses: Counter[int] = Counter()
        for id, _, answer in self._answered:
            reply = json.loads(answer.body)
            code = reply.get("code", "")
            kind: Kind = "ok" if answer.status == HTTPStatus.CREATED else "unknown"
            if 400 <= answer.status < 500 or code in SURELY_NOT:
                kind = "fail"
            self._run.history.note(kind, "POST /orders", id, status=answer.status, code=code, reply=reply)
            statuses[answer.status] += 1
            if answer.status in (429, 503) and not answer.header("retry-after"):
                self.without_retry_after += 1
        self._answered.clear()
        return dict(statuses)


def _seconds_to_rest(system: ChaosSystem) -> float:
    """Seconds until the views show everything that was accepted."""
    started = time.monotonic()
    await_rest(system, seconds=120)
    return time.monotonic() - started


@fault(38, "a thousand readers with forged consistency tokens", "I1", "I2")
def forged_tokens(run: Run) -> None:
    """One salesperson's script asks for positions that do not exist, as often as it can, for lists and with commands.

    It is refused at once, so nobody else waits: all go on selling, and health is answered all the time.  So many
    commands at once also meet the door that is shut before anything is made of a request (ADR 0016); reads do not.
    """
    system, shop = run.system, run.shop
    reads: Counter[int] = Counter()
    commands: Counter[int] = Counter()
    tanaka = caller(system, "tanaka")
    tokens = [f"{topic}:{partition}={position}" for topic in FORGED_TOPICS for partition, position in FORGED_PLACES]

    def ask(number: int) -> Job:
        token = tokens[number % len(tokens)]
        if number % 4:
            answer = yield tanaka.request("GET", "/orders", Salestream_Consistency=token)
            reads[answer.status] += 1
        else:
            body = json.dumps({"customer_id": shop.customer, "lines": []}).encode()
            answer = yield tanaka.request("POST", "/orders", body, Salestream_Consistency=token)
            commands[answer.status] += 1

    address = (HOST, system.api.port)
    slowest = 0.0
    with shop.busy(), ThreadPoolExecutor(1) as pool:
        shop.until_sold(5)
        refused = run.history.count("fail") + run.history.count("unknown")
        flood = pool.submit(run_jobs, address, at_once(ask(number) for number in range(FORGED)), FORGED_CALLERS)
        while not flood.done():
            started = time.perf_counter()
            httpx.get(f"{system.api.own_address}/livez", timeout=30).raise_for_status()
            slowest = max(slowest, time.perf_counter() - started)
            shop.until_sold(1)
        flood.result()
        harmed = run.history.count("fail") + run.history.count("unknown") - refused
    told = f"reads {dict(reads)}, commands {dict(commands)}"
    run.note(f"{told}, {harmed} requests of others not served, health answered within {slowest:.2f} s")
    if not (set(reads) <= {400, 429} and set(commands) <= {400, 429, 503}):
        raise Violated(f"forged tokens were answered: {told}")
    if slowest > HEALTH_SECONDS:
        raise Violated(f"health was answered after {slowest:.1f} s")


FORGED = 6_000
FORGED_CALLERS = 1_100
FORGED_TOPICS = ("orders.events", "customers.events", "inventory.events")
FORGED_PLACES = ((0, 10**17), (3, 10**9), (9_999, 1))
HEALTH_SECONDS = 2.0


@fault(33, "each process stopped with SIGTERM and started again under load", "I1")
def rolling_restart(run: Run) -> None:
    """SIGTERM to each process in turn while orders are written: it ends by itself, nothing acknowledged is lost.

    A request that came when nobody listened is repeated by its client; one that was taken is answered.
    """
    system, shop = run.system, run.shop
    _taken_and_answered(run)
    with shop.busy():
        for name, process in system.processes.items():
            shop.until_sold(10)
            started = time.monotonic()
            process.stop()
            stopped = time.monotonic() - started
            text = process.log.read_text()
            if f'"{"api" if name == "api" else "worker"} stopped"' not in text:
                raise Violated(f"I1: {name} did not end by itself on SIGTERM")
            process.start()
            run.note(f"{name}: ended in {stopped:.1f} s, away {time.monotonic() - started:.1f} s")
    torn = Counter(e.code for e in run.history.entries if e.kind == "unknown" and e.code != "ConnectError")
    if torn:
        run.note(f"requests taken and left unanswered: {dict(torn)}")
        raise Violated(f"I1: {torn.total()} requests were taken and not answered: {dict(torn)}")


def _taken_and_answered(run: Run) -> None:
    """SIGTERM while a commit is under way: its request is answered before the api ends."""
    system, shop = run.system, run.shop
    order = shop.draft("draft-terminated")
    with system.proxies["postgres-api"].trap(order_submitted(order), then=COMMIT, at="after") as trap:
        asked = threading.Thread(target=shop.submit, args=(order, "submit-terminated"))
        asked.start()
        trap.wait()
        pid = system.api.pid
        assert pid is not None
        psutil.Process(pid).terminate()
        system.proxies["postgres-api"].resolve(trap, "release")
        until(lambda: system.api.pid is None)
    system.start("api")
    asked.join(60)
    tries = [entry for entry in run.history.entries if entry.op == f"POST /orders/{order}/submit"]
    if [entry.kind for entry in tries] != ["invoke", "ok"]:
        raise Violated(f"I1: a request that was under way at SIGTERM was not answered: {tries[1].code}")
