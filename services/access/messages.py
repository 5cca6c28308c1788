"""How codes reach people.  `Messenger` is what a provider of mail or SMS implements; this one is for development.

The mailbox is a folder with one file a message; `salestream mailbox` shows it.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from chassis.config import Config
from chassis.private_files import private_folder


@dataclass(frozen=True)
class Message:
    """A text for one address or number; `how` is MAIL or SMS."""

    how: str
    to: str
    text: str


class Messenger(Protocol):
    """Sends messages; raises when it can't, which is logged: the receiver asks again."""

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
        """Every message, oldest first; those for one receiver when one is named."""
        files = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        found = [Message(**json.loads(path.read_text(encoding="utf-8"))) for path in files]
        return [message for message in found if to in (None, message.to)]


def messenger(config: Config) -> Messenger:
    """The provider this installation uses."""
    return Mailbox(Path(config.mailbox_dir))
