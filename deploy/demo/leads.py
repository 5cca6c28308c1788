"""Before the purchases: made-up leads are worked from the pool to customers (LED-01, LED-03, LED-04, LED-09).

The supervisor enters them into the pool.  Both salespeople claim the same ones at once, so each lead has one of them or
the other; of what is left the supervisor gives some in turn.  Whoever has a lead writes down that they have talked,
gives some back, and converts some; the saga makes customers with contacts of those.  At the end the lists say where
all of them are, and that is compared with what everybody was answered.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from threading import Event

from deploy.demo.client import Client, Keyed
from deploy.demo.errors import DemoError

LEADS = 200
FOUGHT_OVER = 120
"""So many both salespeople try to claim."""
IN_TURN = 40
RETURNED, CONVERTED = 10, 50
"""So many each salesperson gives back, and turns into customers."""
LEADER = "sato"
TRADES = ("贸易", "科技", "食品", "服饰", "建材", "製作所", "商事", "Trading")
NAMES = ("王伟", "李娜", "张敏", "佐藤 健", "鈴木 花子", "Anna Müller", "José García", "Oğuz Şahin")
INDUSTRIES = ("RETAIL", "IT", "FINANCE")
LOOK_SECONDS = 0.1


@dataclass
class Worked:
    """What became of the leads: how many, by what happened to them, as people were answered and as the lists say."""

    seconds: float = 0.0
    answered: dict[str, int] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)

    @property
    def differences(self) -> list[str]:
        """What the lists say otherwise than people were answered."""
        return [
            f"{name}: {self.answered[name]} answered, {count} in the lists"
            for name, count in self.listed.items()
            if count != self.answered[name]
        ]


class Leads:
    """The leads of one run of the demo.  `connect` opens a connection for a demo user."""

    def __init__(self, run: str, sellers: Sequence[str], connect: Callable[[str, Event], Client]) -> None:
        self._run = run
        self._sellers = sellers
        self._connect = connect
        self._stop = Event()
        self._ids: list[str] = []
        self._known = ""  # the consistency token of what was done before
        self._begun = int(time.time())

    def work(self, note: Callable[[str], None], deadline: float) -> Worked:
        """Let everybody work on them; `note` is told what is begun.  Raises DemoError, also at `deadline`."""
        found, began = Worked(), time.monotonic()
        with closing(self._connect(LEADER, self._stop)) as leader:
            note(f"Leads: {LEADER} enters {LEADS} into the pool, {' and '.join(self._sellers)} claim the same ones ...")
            self._enter(leader)
            claimed = self._each(self._claim)
            taken = [lead for leads in claimed.values() for lead in leads]
            if len(taken) != len(set(taken)):
                raise DemoError("Two salespeople were told that they have the same lead.")
            given = self._give(leader, [lead for lead in self._ids if lead not in set(taken)][:IN_TURN])
        note("Leads: they talk with them, give some back, and convert some ...")
        own = {name: [*claimed[name], *given.get(name, ())] for name in self._sellers}
        self._each(lambda seller: self._follow(seller, own[seller.name]))
        converted = sum(min(CONVERTED, len(leads) - RETURNED) for leads in own.values())
        in_pool = LEADS - len(taken) - sum(map(len, given.values())) + RETURNED * len(self._sellers)
        found.answered = {
            "entered": LEADS,
            "claimed": len(taken),
            "given in turn": sum(map(len, given.values())),
            "given back": RETURNED * len(self._sellers),
            "customers": converted,
            "in the pool": in_pool,
            "being worked on": LEADS - converted - in_pool,
        }
        self._see(found, deadline)
        found.seconds = time.monotonic() - began
        return found

    # -- what people do

    def _enter(self, leader: Client) -> None:
        answers = leader.bulk("create-lead", [self._lead(number) for number in range(LEADS)])
        self._ids = [answer.required("A lead")["id"] for answer in answers]
        self._known = leader.seen

    def _lead(self, number: int) -> Keyed:
        command = {
            "name": f"{NAMES[number % len(NAMES)]} {number}",
            "company": f"{TRADES[number % len(TRADES)]} {number}, {self._run}",
            "phone": f"+86 13{self._begun % 10**6:06}{number:03}",
            "industry": INDUSTRIES[number % len(INDUSTRIES)],
            "source": "WEBSITE",
            "owner_id": None,
        }
        return Keyed(f"{self._run}-lead-{number}", command)

    def _claim(self, seller: Client) -> list[str]:
        """One begins at the first, the other at the last of the same leads."""
        leads = self._ids[:FOUGHT_OVER]
        wanted = leads if seller.name == self._sellers[0] else leads[::-1]
        answers = seller.bulk("claim-lead", [self._about(seller, "claim", lead) for lead in wanted])
        for answer in answers:
            if answer.code != "ALREADY_CLAIMED":
                answer.required("A claim")
        return [lead for lead, answer in zip(wanted, answers, strict=True) if answer.accepted]

    def _give(self, leader: Client, leads: Sequence[str]) -> Mapping[str, list[str]]:
        """Give leads in turn; the leads by the name of who has each."""
        among = [seller["id"] for seller in self._people(leader)]
        commands = [self._about(leader, "turn", lead, among=among) for lead in leads]
        given: dict[str, list[str]] = {}
        for lead, answer in zip(leads, leader.bulk("assign-lead-in-turn", commands), strict=True):
            given.setdefault(answer.required("A lead given in turn")["owner_name"], []).append(lead)
        self._known = leader.seen
        return given

    def _people(self, leader: Client) -> Iterator[Mapping[str, str]]:
        page = leader.get("/colleagues", limit=200).required("The list of colleagues")
        yield from (one for one in page["items"] if one["name"] in self._sellers)

    def _follow(self, seller: Client, leads: Sequence[str]) -> list[str]:
        talks = [
            Keyed(
                f"{self._run}-talk-{lead}",
                {"subject_kind": "lead", "subject_id": lead, "way": "PHONE", "text": "打过电话，对目录感兴趣。"},
            )
            for lead in leads
        ]
        back, on = leads[:RETURNED], leads[RETURNED:][:CONVERTED]
        for name, items in (
            ("log-communication", talks),
            ("return-lead", [self._about(seller, "return", lead, reason="暂无需求") for lead in back]),
            ("convert-lead", [self._about(seller, "convert", lead) for lead in on]),
        ):
            for answer in seller.bulk(name, items):
                answer.required(f"/bulk/{name}")
        return list(on)

    def _about(self, by: Client, what: str, lead: str, **more: object) -> Keyed:
        return Keyed(f"{self._run}-{what}-{by.name}-{lead}", {"lead_id": lead, **more})

    def _each(self, job: Callable[[Client], list[str]]) -> dict[str, list[str]]:
        """What each salesperson comes back with, all at once."""
        with ThreadPoolExecutor(len(self._sellers)) as pool:
            return dict(zip(self._sellers, pool.map(partial(self._as_seller, job), self._sellers), strict=True))

    def _as_seller(self, job: Callable[[Client], list[str]], name: str) -> list[str]:
        with closing(self._connect(name, self._stop)) as seller:
            seller.seen = self._known
            return job(seller)

    # -- what the lists say

    def _see(self, found: Worked, deadline: float) -> None:
        """Look until the lists say what people were answered."""
        lists = {
            "customers": "/customers",
            "in the pool": "/pools/leads",
            "being worked on": "/leads",
        }
        of_run = {"field": "company", "is": "contains", "value": self._run}
        with closing(self._connect(LEADER, self._stop)) as leader:
            while True:
                found.listed = {name: self._count(leader, path, of_run) for name, path in lists.items()}
                if not found.differences:
                    return
                if time.monotonic() > deadline:
                    raise DemoError(f"The leads are not where they should be: {'; '.join(found.differences)}.")
                time.sleep(LOOK_SECONDS)

    @staticmethod
    def _count(leader: Client, path: str, condition: Mapping[str, str]) -> int:
        page = leader.get(path, where=json.dumps(condition), count="true", limit=1)
        return int(page.required(f"The list {path}")["total"])
