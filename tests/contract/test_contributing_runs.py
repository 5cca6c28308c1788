"""What CONTRIBUTING shows is done to a copy of the project as it says, and works there."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest

from deploy.devstack.server import REPOSITORY_ROOT

TEXT = (REPOSITORY_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
COPIED = ("contracts", "chassis", "services", "deploy", "CONTRIBUTING.md", "README.md", "pyproject.toml")
KNOWN = (
    "collections.abc", "dataclasses", "datetime", "decimal", "uuid", "chassis.model.changes", "chassis.model.context",
    "chassis.model.service", "chassis.model.views", "contracts.orders", "services.orders.application",
)  # fmt: skip

USED = '''
"""The new command, its event in a view, the new field, service and kind of record do what CONTRIBUTING says of them."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue
from chassis.metadata.everything import Company, metadata
from chassis.model.wording import Wording
from chassis.model.principal import Principal
from chassis.model.record_views import record_view
from chassis.testing.people import ADMIN, FINANCE, SALES
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents
from contracts.complaints import ComplaintFiled, FileComplaint
from contracts.declare import REGISTRY
from contracts.marketing import Competitor
from contracts.orders import AddRemark, CancelOrder, PaymentRecorded, RecordPayment, RemarkAdded, ShipOrder, SubmitOrder
from contracts.records import kind_of
from contracts.schemas import load
from contracts.types import Money
from services.complaints.application import SERVICE as COMPLAINTS
from services.marketing.application import SERVICE as MARKETING
from services.orders.test_domain import ORDER, SYSTEM, create, kit, line
from services.reports.views import payments

REGISTRY.load()


def test_the_command(kit):
    create(kit)
    kit.do(AddRemark(order_id=ORDER, text="Call first"), by=SALES)
    [remark] = [fact for fact in kit.stream(ORDER) if isinstance(fact, RemarkAdded)]
    assert remark.text == "Call first" and remark.by.name == SALES.name
    assert REGISTRY.command_of(AddRemark).path == "/orders/{order_id}/remarks"


def test_the_field(kit):
    create(kit, line(quantity=3))
    kit.do(CancelOrder(order_id=ORDER, reason="no need"), by=SALES)
    assert kit.stream(ORDER)[-1].units == 3


def test_the_view(kit):
    create(kit)
    kit.do(SubmitOrder(order_id=ORDER), by=SALES)
    kit.do(ShipOrder(order_id=ORDER, round=1), by=SYSTEM)
    kit.do(RecordPayment(order_id=ORDER, amount=Decimal("5.00")), by=FINANCE)
    assert payments.VIEW in Catalogue.read().views("projector")
    facts = [fact for fact in kit.stream(ORDER) if isinstance(fact, PaymentRecorded)]
    [row] = documents(payments.VIEW, facts).values()
    assert (row["order_id"], row["by"]) == (str(ORDER), FINANCE.name)


def test_the_service():
    complaints, id = InMemoryService(COMPLAINTS), uuid4()
    complaints.do(FileComplaint(complaint_id=id, text="It is broken"), by=SALES)
    assert complaints.new_facts() == [ComplaintFiled(complaint_id=id, text="It is broken")]
    assert "complaints" in Catalogue.read().with_role("relay")


KIND, VIEW = kind_of(Competitor), record_view(Competitor)
MARKETER = Principal(uuid4(), "Meng", frozenset({"MKT"}))
ONE, OTHER = UUID("01900000-0000-7000-8000-000000000001"), UUID("01900000-0000-7000-8000-000000000002")


@pytest.fixture
def market():
    kit = InMemoryService(MARKETING)
    given = {"name": "Osaka Trading", "phone": "+81 90-1234-5678", "turnover": {"amount": "5000000"}}
    kit.do(load(KIND.create, {"competitor_id": str(ONE), **given}, currency="JPY"))
    return kit


def edit(kit, id, **more):
    kit.do(load(KIND.edit, {"competitor_id": str(id), **more}))


def test_the_record_is_entered_changed_deleted_and_restored(market):
    edit(market, ONE, phone=None, founded_on="1999-01-01", is_abroad=True)
    edit(market, ONE, founded_on="1999-01-01")
    market.do(KIND.delete(competitor_id=ONE))
    market.assert_refused("NOT_FOUND", KIND.edit(competitor_id=ONE, remark="?"), field="competitor_id")
    market.do(KIND.restore(competitor_id=ONE))
    created, edited, deleted, restored = market.stream(ONE)
    assert edited.changed == ("phone", "founded_on", "is_abroad")
    assert created.owner == created.by and created.by.name == ADMIN.name
    assert edited.data == replace(created.data, phone=None, founded_on=date(1999, 1, 1), is_abroad=True)
    assert created.data.turnover == Money(amount=Decimal(5000000), currency="JPY")
    assert restored.by == deleted.by


def test_what_is_unique_is_one_record_s_until_it_is_changed_or_deleted(market):
    for name in ("osaka  TRADING", "Ｏｓａｋａ Trading"):
        market.assert_refused("DUPLICATE", KIND.create(competitor_id=OTHER, name=name), field="name")
    edit(market, ONE, name="Kyoto Trading")
    market.do(KIND.create(competitor_id=OTHER, name="Osaka Trading"))
    with_phone = load(KIND.edit, {"competitor_id": str(OTHER), "phone": "+819012345678"})
    market.assert_refused("DUPLICATE", with_phone, field="phone")
    market.do(KIND.delete(competitor_id=ONE))
    market.do(with_phone)
    market.assert_refused("DUPLICATE", KIND.restore(competitor_id=ONE), field="phone")
    edit(market, OTHER, phone=None)
    market.do(KIND.restore(competitor_id=ONE))


def test_a_field_with_a_right_is_neither_given_nor_seen_without_it(market):
    assert VIEW.hidden == {"turnover": "products.cost", "turnover_currency": "products.cost"}
    for amount in ("5000000", "1"):  # what stands there is not told by another answer
        guess = load(KIND.edit, {"competitor_id": str(ONE), "turnover": {"amount": amount, "currency": "JPY"}})
        market.assert_refused("FORBIDDEN", guess, by=MARKETER, field="turnover")
    first = load(KIND.create, {"name": "Nara", "turnover": {"amount": "1", "currency": "JPY"}})
    market.assert_refused("FORBIDDEN", first, by=MARKETER, field="turnover")
    market.do(load(KIND.create, {"name": "Nara", "turnover": None}), by=MARKETER)


def test_who_may_not_see_a_field_is_told_of_no_column_no_input_and_no_choice_of_that_name():
    def told(*rights):
        found = metadata(Wording("en"), ("campaigns", *rights).__contains__, Company())
        view = next(one for one in found.views if one.name == "competitors")
        commands = {one.name: {field.name: field for field in one.fields} for one in found.commands}
        choices = {choice.value: choice.label for choice in commands["RevertCompetitor"]["fields"].choices}
        columns = {column.name: column.label for column in view.columns}
        return columns, commands["CreateCompetitor"].keys() | commands["EditCompetitor"].keys(), choices

    columns, inputs, choices = told("products.cost")
    assert columns["turnover_currency"] == "Turnover: currency" and columns["founded_on"] == choices["founded_on"]
    assert "turnover" in columns.keys() & inputs & choices.keys()
    assert not any("turnover" in name for found in told() for name in found if name != "turnover_currency")


def test_its_list(market):
    assert VIEW in Catalogue.read().views("projector") and VIEW.path == "/competitors"
    assert VIEW.scope.owner == "owner_id" and VIEW.personal == ("phone", "own")
    own = {"name", "phone", "turnover", "founded_on", "is_abroad"}
    assert set(VIEW.filters) == {*own, "q", "owner_id", "shared_with", "shared_with_me", "deleted"}
    assert set(VIEW.sorts) == {"created_at", "changed_at", "name", "turnover", "founded_on"}
    [row] = documents(VIEW, market.stream(ONE)).values()
    assert (str(row["turnover"]), row["turnover_currency"], row["owner_name"]) == ("5000000", "JPY", ADMIN.name)
'''
NOT_SHOWN = {
    "contracts/complaints.py": '''
        """Complaints of customers."""

        from uuid import UUID

        from contracts.declare import command, event
        from contracts.types import Note, Reason


        @command("POST /complaints", permission="orders.edit", key="complaint_id", creates=True)
        class FileComplaint:
            """Take down what a customer complains of."""

            complaint_id: UUID
            text: Reason


        @event("salestream.complaints.complaint-filed.v1", key="complaint_id")
        class ComplaintFiled:
            """A customer complained."""

            complaint_id: UUID
            text: Note
        ''',
    "services/complaints/__init__.py": '"""What customers complain of."""\n',
    "services/complaints/README.md": "# Complaints\n",
    "services/complaints/domain.py": '''
        """A complaint of a customer."""

        from dataclasses import dataclass

        from chassis.model.aggregates import Aggregate, applies
        from chassis.model.context import Context
        from contracts.complaints import ComplaintFiled, FileComplaint


        @dataclass
        class Complaint(Aggregate):
            """What one customer complained of."""

            def file(self, command: FileComplaint, context: Context) -> None:
                self.record(ComplaintFiled(complaint_id=self.id, text=command.text))

            @applies(ComplaintFiled)
            def _filed(self, _: ComplaintFiled) -> None:
                """Nothing to remember."""
        ''',
}


KIND_FILE = "contracts/marketing.py"
TEXTS_TEST = "tests/contract/test_texts.py"
OF_EVERY_KIND = ("tests/contract/test_statuses.py", "tests/contract/test_parents.py")
"""What is asked of every kind of record, and so of the new ones."""
MOST_LINES = 40
"""What a plain record of six fields may cost, all in all."""

PIECES: dict[str, str] = dict(re.findall(r"```(?:python|toml)\n# ([^\n]*)\n(.*?)```", TEXT, flags=re.DOTALL))
"""The pieces of code by their first line, which says where they stand."""


def shown(place: str) -> str:
    """The piece of code of which the first line is or begins with this."""
    if place in PIECES:
        return PIECES[place]
    [found] = [code for where, code in PIECES.items() if where.startswith(place)]
    return found


def texts_for(what: str) -> dict[str, str]:
    """The lines that CONTRIBUTING shows for something under contracts/texts, by file."""
    _, *parts = re.split(r"^# (\w+\.toml)\n", shown(f"contracts/texts/, {what}"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def indented(code: str, by: int = 4) -> str:
    return "".join(f"{' ' * by if line.strip() else ''}{line}" for line in code.splitlines(keepends=True))


class Project:
    """A copy of the project, to be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            source, ignored = REPOSITORY_ROOT / name, shutil.ignore_patterns("__pycache__")
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=ignored)
            else:
                shutil.copy(source, folder / name)

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(exist_ok=True)
        (self.folder / path).write_text(text, encoding="utf-8")

    def append(self, path: str, text: str) -> None:
        with (self.folder / path).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{text}")

    def into_class(self, path: str, name: str, code: str) -> None:
        """Put code at the end of a class."""
        source = (self.folder / path).read_text(encoding="utf-8")
        [found] = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name]
        lines = source.splitlines(keepends=True)
        lines.insert(found.end_lineno or 0, f"\n{indented(code)}")
        self.write(path, "".join(lines))

    def insert(self, path: str, after: str, text: str) -> None:
        """Put text behind a place that is there once."""
        source = (self.folder / path).read_text(encoding="utf-8")
        assert source.count(after) == 1, (path, after)
        self.write(path, source.replace(after, after + text))

    def replace(self, path: str, old: str, new: str) -> None:
        """Put text in place of what is there once."""
        source = (self.folder / path).read_text(encoding="utf-8")
        assert source.count(old) == 1, (path, old)
        self.write(path, source.replace(old, new))

    def run(self, *arguments: str) -> None:
        paths = {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env={**os.environ, **paths}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def imports_for(code: str) -> str:
    """What an editor would import for the names of a piece of code."""
    names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    lines = []
    for module in KNOWN:
        if found := sorted(names & vars(import_module(module)).keys()):
            lines.append(f"from {module} import {', '.join(found)}\n")
            names -= set(found)
    return "".join(lines)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("contributing"))
    orders, domain, application = "contracts/orders.py", "services/orders/domain.py", "services/orders/application.py"

    project.into_class(orders, "OrderCancelled", shown(f"{orders}, OrderCancelled"))
    project.insert(orders, "from contracts.types import ", "Sum, ")
    recorded = ast.parse(shown(f"{domain}, in Order.cancel"))
    [field] = [node for node in ast.walk(recorded) if isinstance(node, ast.keyword)]
    project.insert(domain, "            OrderCancelled(", f"{field.arg}={ast.unparse(field.value)}, ")

    project.append(orders, shown(orders))
    project.into_class(domain, "Order", shown(f"{domain}, in Order:"))
    project.insert(domain, "from contracts.orders import (", "AddRemark, RemarkAdded,")
    project.insert(application, "from contracts.orders import (", "AddRemark,")
    project.insert(application, '"orders",\n    commands={', shown(f"{application}, in SERVICE"))

    [view] = re.findall(r'```python\n("""Which payments.*?)```', TEXT, flags=re.DOTALL)
    title, _, code = view.partition("\n")
    project.write("services/reports/views/payments.py", f"{title}\n{imports_for(code)}{code}")

    for path, text in NOT_SHOWN.items():
        project.write(path, dedent(text))
    code = shown("services/complaints/application.py")
    own = "from contracts.complaints import FileComplaint\nfrom services.complaints.domain import Complaint\n"
    project.write("services/complaints/application.py", f"{imports_for(code)}{own}{code}")
    project.append("deploy/services.toml", shown("deploy/services.toml"))
    kind = shown(f"{KIND_FILE}, a kind of record")
    project.append(KIND_FILE, kind)
    project.append(KIND_FILE, shown(f"{KIND_FILE}, a kind with statuses"))
    project.insert(KIND_FILE, "from contracts.types import ", "Flag, Phone, ")
    project.insert(KIND_FILE, "from contracts.records import data, record", "\nfrom contracts.personal import Personal")
    line = shown("services/marketing/application.py")
    now = 'SERVICE = Service("marketing", records=[CampaignRecord, Survey])\n'
    project.replace("services/marketing/application.py", now, line.replace("Competitor", "Competitor, Offer"))
    project.insert("services/marketing/application.py", "from contracts.marketing import ", "Competitor, Offer, ")
    for what in ("the command", "the kind of record", "the kind with statuses", "the view", "the service"):
        for file, lines in texts_for(what).items():
            project.append(f"contracts/texts/{file}", lines)
    project.write("test_what_is_new.py", USED)
    for test in (TEXTS_TEST, *OF_EVERY_KIND):
        shutil.copy(REPOSITORY_ROOT / test, project.folder / Path(test).name)
    return project


def test_its_contracts_may_be_published_and_it_works(project: Project) -> None:
    """No former event or command is broken, everything new is in the documents, and does what is said of it."""
    project.run("-m", "chassis.run.main", "contracts")
    published = (project.folder / "contracts/openapi.yaml").read_text(encoding="utf-8")
    for route in (
        "/orders/{order_id}/remarks",
        "/bulk/add-remark",
        "/payments",
        "/complaints",
        "/competitors",
        "/competitors/{competitor_id}/restore",
    ):
        assert f"  {route}:\n" in published
    project.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_what_is_new.py")


def test_everything_new_is_called_something_and_nothing_is_called_twice(project: Project) -> None:
    """The texts that are shown are all there must be, and none too many (SET-02)."""
    project.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_texts.py")


def test_what_is_asked_of_every_kind_is_asked_of_the_new_ones(project: Project) -> None:
    """Among them one that belongs to a record of another service, and one that must belong to another (ADR 0047)."""
    names = [Path(test).name for test in OF_EVERY_KIND]
    project.run("-m", "chassis.run.main", "contracts")
    project.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "offer or such_kinds", *names)


def test_a_kind_of_record_costs_what_is_said() -> None:
    """Its class, its import, one word in its service, and a line for each word that people did not read before."""
    kind, service = shown(f"{KIND_FILE}, a kind of record"), shown("services/marketing/application.py")
    [made] = [node for node in ast.parse(kind).body if isinstance(node, ast.ClassDef)]
    assert sum(isinstance(node, ast.AnnAssign) for node in made.body) == 6
    code = len(kind.splitlines()) + len(service.splitlines())
    texts = sum(len(lines.splitlines()) for lines in texts_for("the kind of record").values())
    assert code < MOST_LINES / 2 and code + texts < MOST_LINES
