"""What pages of a list cost at the reader, where it has 100,000 customers (UIX-09..13), one with 10,000 talks (COM-06).

The documents are made by the handlers of the view, so they are those that the projector writes.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from statistics import quantiles
from typing import Any
from uuid import UUID

from pymongo.database import Database

from chassis.foundation.config import Config
from chassis.model.changes import EventMetadata
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.projections.collections import connect, make_indexes
from chassis.projections.documents import changed
from chassis.projections.state import live_id, open_state
from chassis.queries.reader import ViewReader
from contracts.collaboration import CommunicationData, CommunicationLogged
from contracts.customers import CustomerCreated, CustomerData
from contracts.people import Person
from services.reports.views.communications import VIEW as COMMUNICATIONS
from services.reports.views.customers import VIEW

from .report import Bar, Figure, Report

PEOPLE = 40
"""So many salespeople share the customers."""
INSERTED = 5_000
PAGE = Bar(50, at_most=True)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗佐鈴高田伊渡山中小加"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英华玉文建国志美子郎介太花恵由紀健大翔蓮陽葵凛"
CITIES = ["上海", "北京", "广州", "深圳", "杭州", "成都", "東京", "大阪", "名古屋", "福岡", "London", "Berlin"]
TRADES = ["贸易", "科技", "食品", "服饰", "建材", "医疗", "物流", "商事", "製作所", "工業", "Trading", "Systems"]
REGIONS = ["north", "south", "east", "west", "central", "abroad"]
INDUSTRIES = [
    "retail",
    "wholesale",
    "manufacturing",
    "construction",
    "health",
    "transport",
    "finance",
    "education",
    "other",
]
Question = Callable[[Random], Mapping[str, str]]


@dataclass(frozen=True)
class Asked:
    """What is asked of the list: new words each time, so that nothing remembered answers it."""

    key: str
    question: Question
    own: bool = False
    bar: Bar | None = PAGE


def measure(report: Report, config: Config, rows: int, times: int) -> None:
    """Fill the list of customers and ask for pages of 50 of it, in every way in turn."""
    database = connect(config).client["bench_lists"]
    try:
        report.add(*_figures(database, rows, times))
    finally:
        database.client.drop_database(database.name)


def _figures(database: Database[dict[str, Any]], rows: int, times: int) -> Iterator[Figure]:
    random = Random(20260301)
    owners = [Person(user_id=_id(random), name=f"Owner {number}") for number in range(PEOPLE)]
    customers = [(_id(random), random.choice(owners)) for _ in range(rows)]
    _fill(database, VIEW, (_customer(random, *one, number) for number, one in enumerate(customers)))
    reader = ViewReader(database, VIEW)
    everybody = Principal(_id(random), "Root", frozenset({"ADM"}))
    owner = owners[0]
    assert owner.user_id is not None
    callers = {False: everybody, True: Principal(owner.user_id, owner.name, frozenset({"SAL"}))}
    taken: dict[str, list[float]] = {asked.key: [] for asked in QUESTIONS}
    for _ in range(times):
        for asked in QUESTIONS:
            taken[asked.key].append(_ms(reader, callers[asked.own], asked.question(random)))
    for asked in QUESTIONS:
        yield from _of_pages(f"list_{asked.key}", taken[asked.key], asked.bar)
    yield from _timeline(
        database, random, [id for id, of in customers if of == owner], callers[True], rows // 10, times
    )


def _timeline(
    database: Database[dict[str, Any]],
    random: Random,
    customers: Sequence[UUID],
    owner: Principal,
    entries: int,
    times: int,
) -> Iterator[Figure]:
    """Pages of the timeline of one customer of `owner` with so many entries; as many are about their other ones."""
    busy, *others = customers
    talks = (random.choice(others) if number % 2 else busy for number in range(2 * entries))
    _fill(database, COMMUNICATIONS, (_talk(random, id, owner, number) for number, id in enumerate(talks)))
    reader = ViewReader(database, COMMUNICATIONS, subjects={"customer": ViewReader(database, VIEW)})
    taken: dict[str, list[float]] = {key: [] for key in TIMELINE}
    for _ in range(times):
        for key, question in TIMELINE.items():
            taken[key].append(_ms(reader, owner, {"record_id": str(busy), **question(random)}))
    for key, found in taken.items():
        yield from _of_pages(key, found, PAGE)


def _ms(reader: ViewReader, caller: Principal, question: Mapping[str, str]) -> float:
    params = {name: [value] for name, value in question.items()}
    begun = time.perf_counter()
    reader.page(caller, {"limit": ["50"], **params}, None)
    return (time.perf_counter() - begun) * 1_000


def _of_pages(key: str, taken: Sequence[float], bar: Bar | None) -> Iterator[Figure]:
    parts = quantiles(taken, n=20, method="inclusive")
    yield Figure(f"{key}_ms_p50", [parts[9]])
    yield Figure(f"{key}_ms_p95", [parts[18]], bar=bar)


def _fill(database: Database[dict[str, Any]], view: View, documents: Iterator[dict[str, Any]]) -> None:
    state = open_state(database, view, live_id(view), view.name)  # it gets its indexes afterwards, as a rebuild does
    collection = database[state["collection"]]
    while part := list(islice(documents, INSERTED)):
        collection.insert_many(part)
    make_indexes(database, view, view.name)


def _customer(random: Random, id: UUID, owner: Person, number: int) -> dict[str, Any]:
    name = random.choice(SURNAMES) + "".join(random.choices(GIVEN, k=random.choice((1, 2, 2))))
    data = CustomerData(
        name=name,
        mobile=f"+86{13_000_000_000 + random.randrange(1_000_000_000) * 6}",
        industry=random.choice(INDUSTRIES),
        company=f"{random.choice(CITIES)}{name[0]}{random.choice(GIVEN)}{random.choice(TRADES)}",
        contact_person=name,
        address=f"{random.choice(CITIES)} {random.randrange(1, 999)}-{random.randrange(1, 99)}",
        region=random.choice(REGIONS),
    )
    return _document(VIEW, CustomerCreated(customer_id=id, data=data, owner=owner, by=owner), id, owner, number)


def _talk(random: Random, customer: UUID, by: Principal, number: int) -> dict[str, Any]:
    id, at, author = _id(random), BEGIN + timedelta(minutes=number), Person(user_id=by.user_id, name=by.name)
    fact = CommunicationLogged(
        communication_id=id,
        subject_kind="customer",
        subject_id=customer,
        through=(),
        person_id=customer,
        data=CommunicationData(
            form=random.choice(("FOLLOW_UP", "CALL", "VISIT")),
            at=at,
            way="PHONE",
            text="".join(random.choices(SURNAMES + GIVEN, k=60)),
        ),
        author=author,
        logged_at=at,
        by=author,
    )
    return _document(COMMUNICATIONS, fact, id, author, number)


def _document(view: View, fact: Any, id: UUID, by: Person, number: int) -> dict[str, Any]:
    """The document that the view makes of a fact about a new record."""
    at = BEGIN + timedelta(seconds=number)
    source = f"{view.name}.events:0"
    about = EventMetadata(f"{id}/1", type(fact).__name__, at, source, number, str(by.user_id), by=by)
    document: dict[str, Any] | None = None
    for change in view.handlers[type(fact)](fact, about):
        document = changed(document, change, about)
    assert document is not None
    document |= {"_id": str(id), "_event": about.id, "_event_at": at}
    return document | view.keys_of(document)


def _id(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)


def _name_part(random: Random) -> Mapping[str, str]:
    return {"q": "".join(random.choices(GIVEN, k=2))}


def _digits(random: Random) -> Mapping[str, str]:
    return {"q": f"{random.randrange(10_000):04d}-{random.randrange(100):02d}"}


def _region_and_industry(random: Random) -> Mapping[str, str]:
    return {"region": random.choice(REGIONS), "industry": random.choice(INDUSTRIES)}


def _condition(random: Random) -> Mapping[str, str]:
    return {"where": f'{{"field": "company", "is": "contains", "value": "{random.choice(GIVEN)}"}}'}


QUESTIONS = (
    Asked("page", lambda _: {}),
    Asked("page_by_name", lambda _: {"sort": "name"}),
    Asked("page_of_own", lambda _: {}, own=True),
    Asked("page_of_own_by_name", lambda _: {"sort": "name"}, own=True),
    Asked("search_name", _name_part),
    Asked("search_digits", _digits),
    Asked("search_own", _name_part, own=True),
    Asked("filtered", _region_and_industry),
    Asked("condition", _condition),
    Asked("unindexed_sort", lambda _: {"sort": "address"}, bar=None),
    Asked("unindexed_sort_of_own", lambda _: {"sort": "address"}, own=True, bar=None),
)
TIMELINE: Mapping[str, Question] = {"timeline": lambda _: {}, "timeline_search": _name_part}
