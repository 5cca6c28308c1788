"""Robots of DingTalk and WeCom and text messages, to real HTTP servers that check signatures: what is sent, how a
repeat is known, and a server that is away for an hour, refuses, hangs up or says nothing (NTF-03, NTF-05)."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.delivery import webhooks
from chassis.delivery.opening import carriers
from chassis.delivery.port import Carrier, NotSent, Outgoing
from chassis.foundation.config import Config, ConfigError
from component.mail import free_port
from component.webhooks import (
    SECRET,
    Receiver,
    answering,
    is_from_us_at_dingtalk,
    is_from_us_at_provider,
    is_from_us_at_wecom,
    serving,
)
from contracts.notices import DeliveryFailed, DeliveryPostponed, DeliverySent
from contracts.occasions import Way
from services.notices.test_deliveries import Post, with_phone

NOTICE = Outgoing(
    id=UUID(int=7),
    to="13800000004",
    subject="审批请求",
    text="Kettle の在庫が 9 になりました。\n\nhttps://crm.example/notices/1\n",
    language="ja",
    written_at=datetime(2026, 3, 2, 1, 0, tzinfo=UTC),
)


@dataclass(frozen=True)
class Sort:
    """A way, the settings that open it at a port, and who checks what comes there."""

    way: Way
    settings: Callable[[int], dict[str, Any]]
    is_from_us: Any

    def carrier(self, port: int, **more: Any) -> Carrier:
        return carriers(Config(**{**self.settings(port), **more}))[self.way]


DINGTALK = Sort(
    "DINGTALK",
    lambda port: {"dingtalk_url": f"http://127.0.0.1:{port}/robot/send?access_token=robot", "dingtalk_secret": SECRET},
    is_from_us_at_dingtalk,
)
WECOM = Sort(
    "WECOM", lambda port: {"wecom_url": f"http://127.0.0.1:{port}/cgi-bin/webhook/send?key=robot"}, is_from_us_at_wecom
)
SMS = Sort(
    "SMS", lambda port: {"sms_url": f"http://127.0.0.1:{port}/messages", "sms_secret": SECRET}, is_from_us_at_provider
)
SORTS = pytest.mark.parametrize("sort", [DINGTALK, WECOM, SMS], ids=lambda sort: sort.way)
ROBOTS = pytest.mark.parametrize("sort", [DINGTALK, WECOM], ids=lambda sort: sort.way)


def not_sent(carrier: Carrier) -> tuple[str, bool]:
    with pytest.raises(NotSent) as caught:
        carrier.send(NOTICE)
    return caught.value.reason, caught.value.for_good


@SORTS
def test_ntf_03_what_is_sent_is_signed_and_the_same_at_each_try(sort: Sort) -> None:
    receiver = Receiver(sort.is_from_us)
    with serving(receiver) as port:
        for _ in range(2):
            sort.carrier(port).send(NOTICE)
    first, second = receiver.taken
    assert (first.body, first.id) == (second.body, str(NOTICE.id)) and second.id == first.id
    assert first.headers["content-type"] == "application/json; charset=utf-8"
    assert not receiver.refused


def test_ntf_03_each_says_it_as_who_takes_it_wants_it() -> None:
    found = {}
    for sort in (DINGTALK, WECOM, SMS):
        receiver = Receiver(sort.is_from_us)
        with serving(receiver) as port:
            sort.carrier(port).send(NOTICE)
        found[sort.way] = receiver.taken[0].said
    said = f"{NOTICE.subject}\n{NOTICE.text.strip()}"
    assert found == {
        "DINGTALK": {
            "msgtype": "text",
            "text": {"content": f"{said}\n@13800000004"},
            "at": {"atMobiles": ["13800000004"], "isAtAll": False},
        },
        "WECOM": {"msgtype": "text", "text": {"content": said, "mentioned_mobile_list": ["13800000004"]}},
        "SMS": {"id": str(NOTICE.id), "to": "13800000004", "text": NOTICE.text},
    }


@pytest.mark.parametrize(("sort", "secret"), [(DINGTALK, "dingtalk_secret"), (SMS, "sms_secret")])
def test_what_is_signed_with_another_secret_is_not_taken(sort: Sort, secret: str) -> None:
    receiver = Receiver(sort.is_from_us)
    with serving(receiver) as port:
        carrier = sort.carrier(port, **{secret: "another"})
        if sort is DINGTALK:
            assert not_sent(carrier) == ("ROBOT_310000", False)
        else:
            carrier.send(NOTICE)
    assert not receiver.taken and len(receiver.refused) == 1


@SORTS
@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"status": 500}, ("STATUS_500", False)),
        ({"status": 429}, ("STATUS_429", False)),
        ({"status": 404}, ("STATUS_404", False)),
        ({"status": 302}, ("STATUS_302", False)),
        ({"status": 401}, ("SIGN_IN", False)),
        ({"status": 403}, ("SIGN_IN", False)),
        ({"status": 400}, ("STATUS_400", True)),
        ({"status": 422}, ("STATUS_422", True)),
        ({"hangs_up": True}, ("CONNECTION", False)),
    ],
)
def test_what_is_refused_for_now_is_tried_again_and_for_good_is_not(
    sort: Sort, answers: dict[str, Any], expected: tuple[str, bool]
) -> None:
    receiver = Receiver(sort.is_from_us)
    with serving(receiver) as port:
        vars(receiver).update(answers)
        assert not_sent(sort.carrier(port)) == expected
        assert all("elsewhere" not in one.path for one in receiver.taken), "nobody is led elsewhere with it"


@ROBOTS
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'{"errcode":130101,"errmsg":"send too fast, 13800000004"}', "ROBOT_130101"),
        (b"<html>", "ANSWER"),
        (b'{"errcode":"no number"}', "ANSWER"),
        (b"[]", "ANSWER"),
        (b"", "ANSWER"),
    ],
)
def test_ntf_03_a_robot_that_says_no_has_not_sent_it_and_what_it_said_is_not_told(
    sort: Sort, answer: bytes, reason: str
) -> None:
    receiver = Receiver(sort.is_from_us, answer=answer)
    with serving(receiver) as port:
        assert not_sent(sort.carrier(port)) == (reason, False)


@SORTS
def test_one_that_says_nothing_is_not_waited_for_for_ever(sort: Sort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert not_sent(sort.carrier(mute.getsockname()[1])) == ("TIMEOUT", False)


DRIPS = {
    "in the head": (b"HTTP/1.1 200 OK\r\nX-A: ", b"x"),
    "in the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b" "),
    "in parts": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_an_answer_that_comes_drop_by_drop_ends(drip: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each drop comes in time."""
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.5)
    first, drop = drip
    with answering(first, drop, every=0.05) as port:
        began = time.monotonic()
        assert not_sent(WECOM.carrier(port)) == ("TIMEOUT", False)
    assert time.monotonic() - began < 5


TOLD = """
import sys
from component.test_webhooks import NOTICE, WECOM
from chassis.foundation.logs import configure_logging
configure_logging("INFO")
WECOM.carrier(int(sys.argv[1])).send(NOTICE)
"""


def test_cpl_01_of_an_answer_that_is_malformed_no_log_tells_the_robot_s_address() -> None:
    """The library warns of it with the address, which is the robot's password."""
    malformed = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\nno header\r\n\r\n{"errcode":0}'
    with answering(malformed) as port:
        command = [sys.executable, "-c", TOLD, str(port)]
        found = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, check=False, timeout=60, text=True, env=found)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def until_due(post: Post, fact: Any) -> None:
    post.ticks += (fact.due_at - post.kit.now).total_seconds()
    post.kit.now = fact.due_at


@SORTS
def test_ntf_05_what_is_away_for_an_hour_gets_it_once_and_only_once_after(sort: Sort) -> None:
    port, receiver = free_port(), Receiver(sort.is_from_us)
    post = with_phone(by={sort.way: sort.carrier(port)})
    post.by(sort.way)
    post.announce()
    began = post.kit.now
    while post.kit.now - began < timedelta(hours=1):
        [postponed] = post.turn()
        assert isinstance(postponed, DeliveryPostponed) and postponed.reason == "CONNECTION"
        assert post.turn() == []
        until_due(post, postponed)
    with serving(receiver, port):
        [sent] = post.turn()
        assert isinstance(sent, DeliverySent)
        for _ in range(3):
            post.kit.pass_time(hours=1)
            assert post.turn() == []
    [taken] = receiver.taken
    [row] = post.rows()
    assert (row["status"], taken.id) == ("SENT", str(sent.delivery_id))


@SORTS
def test_ntf_05_one_that_takes_it_and_hangs_up_gets_the_same_again_under_the_same_id(sort: Sort) -> None:
    receiver = Receiver(sort.is_from_us, hangs_up=True)
    with serving(receiver) as port:
        post = with_phone(by={sort.way: sort.carrier(port)})
        post.by(sort.way)
        post.announce()
        [postponed] = post.turn()
        receiver.hangs_up = False
        until_due(post, postponed)
        assert [type(fact) for fact in post.turn()] == [DeliverySent]
    first, second = receiver.taken
    assert (first.id, first.body) == (second.id, second.body)


def test_ntf_05_what_fails_for_good_is_shown() -> None:
    receiver = Receiver(SMS.is_from_us, status=422)
    with serving(receiver) as port:
        post = with_phone(by={"SMS": SMS.carrier(port)})
        post.by("SMS")
        post.announce()
        [failed] = post.turn()
    assert isinstance(failed, DeliveryFailed)
    [row] = post.rows()
    assert (row["status"], row["way"], row["reason"], row["attempts"]) == ("FAILED", "SMS", "STATUS_422", 1)


@SORTS
def test_cpl_01_neither_address_nor_number_nor_text_is_logged(
    sort: Sort, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver = Receiver(sort.is_from_us, status=500)
    with caplog.at_level(logging.INFO), serving(receiver) as port:
        post = with_phone(by={sort.way: sort.carrier(port)})
        post.by(sort.way)
        post.announce("very secret")
        assert [type(fact) for fact in post.turn()] == [DeliveryPostponed]
    written = caplog.text + "".join(capsys.readouterr())
    assert not [word for word in ("13800000004", "secret", "robot", "127.0.0.1") if word in written]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"SMS_URL": "https://sms.example/"}, "SMS_SECRET"),
        ({"SMS_URL": "http://sms.example/", "SMS_SECRET": "x"}, "SMS_URL"),
        ({"DINGTALK_URL": "https://oapi.dingtalk.com/robot/send?access_token=hidden"}, "DINGTALK_SECRET"),
        ({"DINGTALK_URL": "http://dingtalk.example/?access_token=hidden", "DINGTALK_SECRET": "x"}, "DINGTALK_URL"),
        ({"WECOM_URL": "http://wecom.example/?key=hidden"}, "WECOM_URL"),
        ({"WECOM_URL": "hidden"}, "WECOM_URL"),
        ({"WECOM_URL": "https://wecom.example:port/?key=hidden"}, "WECOM_URL"),
        ({"ROBOT_RATE": "many"}, "ROBOT_RATE"),
    ],
)
def test_settings_that_can_not_be_used_are_named_and_no_secret_is_told(settings: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        carriers(Config.from_env(settings))
    assert "hidden" not in str(caught.value)


def test_the_address_of_a_robot_may_stand_in_a_file(tmp_path: Any) -> None:
    (file := tmp_path / "wecom").write_text("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x\n")
    config = Config.from_env({"WECOM_URL_FILE": str(file)})
    assert config.wecom_url.endswith("key=x") and "key=x" not in repr(config)
