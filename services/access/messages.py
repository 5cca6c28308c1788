"""How codes reach people: by mail where there is a relay (SMTP_ADDRESS), by text message where there is a provider
(SMS_URL), else into a mailbox, for development.

The mailbox is a folder with one file a message; `salestream mailbox` shows it.  `Messenger` is what a provider of
another way implements.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import structlog

from chassis.delivery.opening import set_up
from chassis.delivery.port import Carrier, NotSent, Outgoing
from chassis.foundation.config import Config
from chassis.foundation.private_files import private_folder
from contracts.languages import Language
from services.access.domain.users import login_key

log = structlog.get_logger()
SUBJECT = "Salestream"
"""Of every mail with a code: whoever looks over a shoulder reads no more."""


@dataclass(frozen=True)
class Message:
    """A text for one address or number; `how` is MAIL or SMS."""

    how: str
    to: str
    text: str


TEXTS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "code": "Your Salestream code is {code}. It is valid for 5 minutes.",
        "contact": "Your Salestream account has another contact now. If you did not do that, tell an administrator at "
        "once.",
    },
    "zh": {
        "code": "您的 Salestream 验证码是 {code}，5 分钟内有效。",
        "contact": "您的 Salestream 账号的联系方式已更改。如非本人操作，请立即告知管理员。",
    },
    "ja": {
        "code": "Salestream の確認コードは {code} です。5 分間有効です。",
        "contact": "Salestream アカウントの連絡先が変更されました。"
        "お心当たりがない場合は、すぐに管理者に知らせてください。",
    },
}
"""What is written to people, in each language (SET-02)."""


def text_of(what: str, language: Language, **values: str) -> str:
    """A text in a language."""
    return TEXTS[language][what].format(**values)


class Messenger(Protocol):
    """Sends messages; what can't be sent is logged: the receiver asks again."""

    def send(self, message: Message) -> None: ...


class Mailbox:
    """Keeps messages as files instead of sending them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message) -> None:
        private_folder(self._folder)
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(message), file, ensure_ascii=False)
        os.rename(name, name.removesuffix(".part") + ".json")

    def messages(self, to: str | None = None) -> list[Message]:
        """Every message, oldest first; those for one receiver when one is named, however it is written."""
        files = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        found = [Message(**json.loads(path.read_text(encoding="utf-8"))) for path in files]
        return [message for message in found if to is None or login_key(message.to) == login_key(to)]


class BySettings:
    """Sends by the ways that the settings open; what goes another way is for `others`.

    The log tells why something was not sent, and neither to whom nor what.
    """

    def __init__(self, carriers: Mapping[str, Carrier], others: Messenger, language: str, now: datetime) -> None:
        self._carriers = carriers
        self._others = others
        self._language = language
        self._now = now

    def send(self, message: Message) -> None:
        if (carrier := self._carriers.get(message.how)) is None:
            self._others.send(message)
            return
        outgoing = Outgoing(
            id=uuid4(),
            to=message.to,
            subject=SUBJECT,
            text=f"{message.text}\n",
            language=self._language,
            written_at=self._now,
        )
        try:
            carrier.send(outgoing)
        except NotSent as not_sent:
            log.warning("code not sent", way=message.how, reason=not_sent.reason)


def messenger(config: Config, language: str, now: datetime) -> Messenger:
    """The provider this installation uses, for messages in a language, written now."""
    return BySettings(set_up(config), Mailbox(Path(config.mailbox_dir)), language, now)
