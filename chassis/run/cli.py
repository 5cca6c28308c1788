"""What each `salestream` command does; `chassis.run.main` declares them."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from pathlib import Path

from kafka.errors import BrokerResponseError

from chassis.access.tokens import issue
from chassis.catalogue import Catalogue
from chassis.foundation.config import Config, ConfigError
from chassis.foundation.logs import configure_logging
from chassis.foundation.memory import settle_memory
from chassis.foundation.transient import is_transient
from chassis.kafka.clients import producer
from chassis.messaging.consumer import Fenced
from chassis.messaging.dead_letters import DeadLetter, DeadLetters
from chassis.messaging.kafka import create_topics
from chassis.messaging.partitions import TopicsDamaged
from chassis.model.principal import Principal
from chassis.persons.opening import use_keys
from chassis.projections.collections import connect
from chassis.projections.rebuild import Rebuild, view_states
from chassis.run.api_process import run_api
from chassis.run.erasure import erase
from chassis.run.grants import apply, grants, table
from chassis.run.topics import Topics
from chassis.run.upkeep import sweep_here
from chassis.run.worker_process import run_worker
from chassis.store.opening import existing_store
from chassis.verify.audit import check_chains
from chassis.verify.heads import read_heads, sign_heads
from chassis.verify.progress import ProgressBar
from chassis.verify.run import Verification
from contracts.errors import Refused

WORKER_ROLES = {"worker": ("relay", "projector", "saga")}
API_ROLES = ("api", "queries", "gateway")
"""What the api process serves of a service: its commands, its views, or the way to others."""


def run_command(options: argparse.Namespace) -> int:
    """Carry out a parsed command line; errors the user can mend are one line on standard error."""
    commands: dict[str, Callable[[argparse.Namespace, Config], int]] = {
        "run": _run,
        "token": _token,
        "topics": _topics,
        "grants": _grants,
        "contracts": _contracts,
        "views": _views,
        "verify": _verify,
        "dlq": _dead_letters,
        "audit": _audit,
        "administrator": _administrator,
        "mailbox": _mailbox,
        "persons": _persons,
        "files": _files,
    }
    try:
        config = Config.from_env()
        use_keys(config)
        return commands[options.command](options, config)
    except ConfigError as error:
        print(f"salestream: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        told = None if options.command == "run" else _told(error)
        if told is None:
            raise
        print(f"salestream: {told}", file=sys.stderr)
        return 1


def _told(error: Exception) -> str | None:
    """What has ended a command, in one line; None for what nobody expects, whose traceback is wanted."""
    if isinstance(error, TopicsDamaged | Fenced):
        return str(error)
    if isinstance(error, BrokenProcessPool):
        return "a process of this command was killed: is there memory enough?"
    if isinstance(error, OSError) and error.filename:  # a file, and no server
        return f"{error.filename}: {error.strerror}"
    is_ours = isinstance(error, Refused | BrokenPipeError)  # the one tells more, the other of who reads this
    if is_ours or not is_transient(error):
        return None
    text = str(error).partition("\n")[0].partition(" (configured")[0][:300] or type(error).__name__
    if isinstance(error, BrokerResponseError) and not error.retriable:  # it answers, and will not do it
        return f"Kafka refuses: {text}"
    return f"a server does not answer: {text}: is it running (`make up`, `make status`), and do the settings name it?"


def _run(options: argparse.Namespace, config: Config) -> int:
    configure_logging(config.log_level)
    if options.role == "api":
        _require_role(options.service, API_ROLES, "api")
        return run_api(config, options.service)
    roles = WORKER_ROLES.get(options.role, (options.role,))
    _require_role(options.service, roles, "relay, projector or saga" if len(roles) > 1 else options.role)
    return run_worker(config, options.service, roles)


def _require_role(names: Sequence[str], roles: Sequence[str], told: str) -> None:
    """Raises ConfigError where none of these services has one of the roles: the process would stand there idle."""
    chosen = Catalogue.read(names)
    if not any(chosen.with_role(role) for role in roles):
        have = "has" if len(names) == 1 else "have"
        raise ConfigError(f"there is nothing to run: {', '.join(names)} {have} not the role {told}")


def _token(options: argparse.Namespace, config: Config) -> int:
    people = Catalogue.read().of_people("demo_users")
    if options.roles:
        roles = frozenset(role.strip().upper() for role in options.roles.split(","))
        principal = Principal(people.user_id(options.user), options.user, roles)
    else:
        principal = people.demo_user(options.user)
    print(issue(config, principal, seconds=int(options.hours * 3600)))
    return 0


def _administrator(options: argparse.Namespace, config: Config) -> int:
    administration = Catalogue.read().of_people("administration")
    password = administration.make_administrator(config, options.login)
    print(f"{options.login} is administrator.  Default password, to be changed at the first sign-in: {password}")
    return 0


def _mailbox(options: argparse.Namespace, config: Config) -> int:
    messages = Catalogue.read().of_people("messages")
    for message in messages.Mailbox(Path(config.mailbox_dir)).messages(options.to):
        print(f"{message.how}  {message.to}  {message.text}")
    return 0


def _persons(options: argparse.Namespace, config: Config) -> int:
    keys = use_keys(config)
    try:
        return 0 if erase(config, keys, options.person) else 1
    finally:
        keys.close()


def _files(options: argparse.Namespace, config: Config) -> int:
    print(f"{sweep_here(config)} files deleted")
    return 0


def _grants(options: argparse.Namespace, config: Config) -> int:
    found = grants(Catalogue.read())
    print(f"{apply(config, found)} rules are in place." if options.apply else table(found), end="")
    return 0


def _topics(options: argparse.Namespace, config: Config) -> int:
    if options.action == "create":
        created = create_topics(config, Catalogue.read().groups())
        print("\n".join(created) if created else "All topics exist.")
        return 0
    topics = Topics(config)
    if options.action == "check":
        found = topics.check()
        print("\n".join(found) if found else "Kafka holds what it has to hold.")
        return 1 if found else 0
    if options.action == "republish":
        print(f"{topics.republish(options.topic, force=options.force)} record(s) published on {options.topic}")
    else:
        topics.reset(options.topic)
        print(f"Whoever reads {options.topic} begins at its first record.")
    return 0


def _contracts(options: argparse.Namespace, config: Config) -> int:
    from chassis.documents import main  # noqa: PLC0415 - needs the development packages

    return main([("docs/operations.md", table(grants(Catalogue.read())))], check=options.check)


def _views(options: argparse.Namespace, config: Config) -> int:
    database = connect(config)
    views = {view.name: view for view in Catalogue.read().views("projector")}
    if options.action == "list":
        for line in view_states(database, list(views.values())):
            print(line)
        return 0
    if options.name not in views:
        raise ConfigError(f"no view {options.name!r}; there are {', '.join(views)}")
    rebuild = Rebuild(config, database, views[options.name])
    settle_memory()
    return 0 if rebuild.run(switch=not options.compare_only, force=options.force) else 1


def _verify(options: argparse.Namespace, config: Config) -> int:
    settle_memory()
    findings = Verification(config, options.service, wait=options.wait, bars=ProgressBar().bar).run()
    print(json.dumps(findings.document(), indent=2) if options.json else findings.text())
    return findings.exit_code


def _audit(options: argparse.Namespace, config: Config) -> int:
    names = Catalogue.read(options.service).with_role("api")
    if without := [name for name in options.service if name not in names]:
        have = "has" if len(without) == 1 else "have"
        raise ConfigError(f"{', '.join(without)} {have} no audit log; there is one of {', '.join(_audited())}")
    stores = {name: existing_store(name, config) for name in names}
    try:
        if options.action == "verify":
            signed = read_heads(config, Path(options.heads).read_text(errors="replace")) if options.heads else {}
            chains = list(check_chains(stores, signed))
            for chain in chains:
                told = chain.broken or f"whole: {chain.number} records, {chain.entries} entries"
                print(f"{chain.service}: {told}")
            return 0 if all(chain.is_whole for chain in chains) else 1
        chains = list(check_chains(stores, {}))
        if broken := [chain.broken for chain in chains if not chain.is_whole]:
            print("\n".join(broken), file=sys.stderr)
            return 1
        line = sign_heads(config, {chain.service: chain for chain in chains}, datetime.now(UTC))
        if options.append:
            with Path(options.append).open("a") as file:
                file.write(f"{line}\n")
        else:
            print(line)
        return 0
    finally:
        for store in stores.values():
            store.close()


def _audited() -> list[str]:
    return Catalogue.read().with_role("api")


def _dead_letters(options: argparse.Namespace, config: Config) -> int:
    groups = Catalogue.read().groups()
    if options.action == "groups":
        print("\n".join(groups))
        return 0
    if options.group not in groups:
        raise ConfigError(f"there is no group {options.group!r}; there are {', '.join(groups)}")
    letters = DeadLetters(config, options.group)
    waiting = {letter.number: letter for letter in letters.waiting()}
    if missing := sorted(set(options.number or ()) - waiting.keys()):
        print(f"No record {', '.join(map(str, missing))} is set aside: nothing was done.")
        return 1
    chosen = [letter for letter in waiting.values() if not options.number or letter.number in options.number]
    if not chosen:
        print("No records are set aside.")
        return 0
    if options.action in ("list", "show"):
        for letter in chosen:
            print(_describe(letter, whole=options.action == "show"))
        return 0
    sender = producer(config)
    try:
        act = letters.replay if options.action == "replay" else letters.drop
        print(f"{act(sender, chosen)} record(s): {options.action}")
        if options.action == "replay":
            if cut := [letter.number for letter in chosen if letter.cut]:
                print(f"Not replayed, because cut when set aside: {', '.join(map(str, cut))}. Drop them.")
            if lost := [letter.number for letter in chosen if letter.lost]:
                print(
                    f"Not replayed, because their records are gone: {', '.join(map(str, lost))}. Publish their topics "
                    "again (topics republish TOPIC), which brings back what the stores hold; drop the others."
                )
            print(f"What fails again, or has an earlier record waiting, will stand in: dlq list {options.group}")
    finally:
        sender.close()
    return 0


def _describe(letter: DeadLetter, *, whole: bool) -> str:
    line = f"{letter.number}  {letter.type or '(unreadable)'}  key {letter.key}  from {letter.origin}: {letter.reason}"
    if letter.cut:
        line += f"  (cut: the whole record is at {letter.origin})"
    return f"{_printable(line)}\n{_printable(letter.value.decode('utf-8', 'replace'))}" if whole else _printable(line)


def _printable(text: str) -> str:
    """The text with all that could steer a terminal, or end a line, shown as an escape."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
