"""Codes reach people by mail, where there is a relay (SEC-05, SEC-06, SEC-09, SEC-13)."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from chassis.delivery.port import NotSent, Outgoing
from chassis.foundation.config import Config
from services.access.messages import BySettings, Mailbox, Message, messenger

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CODE = Message("MAIL", "li@example.com", "Your code is 123456.")


class Carrier:
    """What was sent, unless it fails."""

    def __init__(self, fails: NotSent | None = None) -> None:
        self.taken: list[Outgoing] = []
        self.fails = fails

    def send(self, outgoing: Outgoing) -> None:
        if self.fails:
            raise self.fails
        self.taken.append(outgoing)


def by_mail(folder: Path, **about: Any) -> tuple[BySettings, Carrier, Mailbox]:
    carrier, mailbox = Carrier(**about), Mailbox(folder)
    return BySettings({"MAIL": carrier}, mailbox, "en", NOW), carrier, mailbox


def test_SEC_05_a_code_goes_by_mail_and_is_kept_nowhere(tmp_path: Path) -> None:
    messenger, carrier, mailbox = by_mail(tmp_path)
    messenger.send(CODE)
    [taken] = carrier.taken
    assert (taken.to, taken.text, taken.language, taken.written_at) == (CODE.to, f"{CODE.text}\n", "en", NOW)
    assert "123456" not in taken.subject
    assert not mailbox.messages()


def test_SEC_05_what_goes_another_way_is_left_to_the_mailbox(tmp_path: Path) -> None:
    messenger, carrier, mailbox = by_mail(tmp_path)
    text = replace(CODE, how="SMS", to="13800000001")
    messenger.send(text)
    assert mailbox.messages() == [text] and not carrier.taken


def test_SEC_05_two_codes_are_two_mails(tmp_path: Path) -> None:
    """A relay that knows repeats by their id must not take the second for the first."""
    messenger, carrier, _ = by_mail(tmp_path)
    messenger.send(CODE)
    messenger.send(CODE)
    assert len({one.id for one in carrier.taken}) == 2


def test_SEC_05_a_relay_that_is_away_is_told_in_the_log_and_neither_who_nor_what(tmp_path: Path) -> None:
    messenger, _, mailbox = by_mail(tmp_path, fails=NotSent("CONNECTION"))
    with capture_logs() as lines:
        messenger.send(CODE)
    assert [(line["event"], line["reason"]) for line in lines] == [("code not sent", "CONNECTION")]
    assert "li@example.com" not in str(lines) and "123456" not in str(lines)
    assert not mailbox.messages(), "nor does it lie about in a file"


NOBODY_THERE = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, {"MAIL", "SMS"}),
        ({"smtp_address": NOBODY_THERE, "mail_from": "crm@example.com"}, {"SMS"}),
        ({"sms_url": f"http://{NOBODY_THERE}/", "sms_secret": "x"}, {"MAIL"}),
    ],
    ids=["nothing", "a relay", "a provider"],
)
def test_SEC_05_what_has_no_way_is_kept_in_the_mailbox_and_nothing_else(
    tmp_path: Path, settings: dict[str, Any], kept: set[str]
) -> None:
    found = messenger(Config(**settings, mailbox_dir=str(tmp_path)), "en", NOW)
    for how in ("MAIL", "SMS"):
        found.send(replace(CODE, how=how))
    assert {message.how for message in Mailbox(tmp_path).messages()} == kept
