"""Who may read what lies on the disk: stores, keys and messages are for our own user alone, whatever the umask says."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from chassis.access.tokens import TokenVerifier, issue
from chassis.foundation.config import Config, ConfigError
from chassis.model.principal import Principal
from chassis.store.opening import open_store
from chassis.store.transaction import ReplicaRow, Transaction
from chassis.verify.heads import sign_heads
from services.access.messages import Mailbox, Message
from services.access.vault import Vault, _vault


@pytest.fixture(autouse=True)
def open_to_all() -> Iterator[None]:
    before = os.umask(0)
    _vault.cache_clear()
    yield
    os.umask(before)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return replace(
        Config(),
        data_dir=str(tmp_path / "stores"),
        token_key_dir=str(tmp_path / "keys"),
        mailbox_dir=str(tmp_path / "mailbox"),
    )


def use(config: Config) -> None:
    """Make all that a system keeps on its disk."""
    store = open_store("orders", config)
    store.commit(Transaction(rows=[ReplicaRow("names", "a", b"1")]))
    issue(config, Principal(uuid4(), "li", frozenset({"SAL"})))
    TokenVerifier(config)
    Vault.of(config)
    Mailbox(Path(config.mailbox_dir)).send(Message("MAIL", "li@example.com", "code 123456"))
    assert Path(config.data_dir, "orders.sqlite-wal").exists(), "while it is open"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in Path(config.data_dir).parent.rglob("*")}
    store.close()
    public = {path for path in modes if path.suffix == ".pub"}
    assert len(modes) - len(public) >= 9
    wrong = {path: oct(mode) for path, mode in modes.items() if mode & 0o077 and path not in public}
    assert wrong == {}


def test_what_is_made_is_for_us_alone(config: Config) -> None:
    use(config)


def test_stores_and_folders_that_were_open_to_others_are_tightened(config: Config) -> None:
    use(config)
    store = open_store("orders", config)
    for path in [Path(config.data_dir), *Path(config.data_dir).iterdir(), Path(config.token_key_dir)]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    use(config)
    store.close()


KEYS: dict[str, tuple[str, Callable[[Config], object]]] = {
    "access.key": ("access.key", Vault.of),
    "token.key": ("token.key", lambda config: issue(config, Principal(uuid4(), "li", frozenset({"SAL"})))),
    "token.key for heads": ("token.key", lambda config: sign_heads(config, {}, datetime.now(UTC))),
    "token.pub": ("token.pub", TokenVerifier),
}


@pytest.mark.parametrize("content", [b"", b"short"], ids=["empty", "short"])
@pytest.mark.parametrize("which", KEYS)
def test_a_key_file_that_holds_no_key_is_refused(config: Config, which: str, content: bytes) -> None:
    use(config)
    name, ask = KEYS[which]
    path = Path(config.token_key_dir, name)
    path.write_bytes(content)
    _vault.cache_clear()
    with pytest.raises(ConfigError, match=str(path)):
        ask(config)
    assert path.read_bytes() == content, "nothing was made anew in its place"


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o602, 0o666, 0o777])
@pytest.mark.parametrize("which", [which for which, (name, _) in KEYS.items() if name.endswith(".key")])
def test_a_key_that_others_can_read_or_change_is_refused(config: Config, which: str, mode: int) -> None:
    use(config)
    name, ask = KEYS[which]
    Path(config.token_key_dir, name).chmod(mode)
    _vault.cache_clear()
    with pytest.raises(ConfigError, match=f"mode 0{mode:o}.*signing-key.md"):
        ask(config)
    Path(config.token_key_dir, name).chmod(0o640)
    ask(config)


def test_a_folder_that_can_not_be_made_is_explained(config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be made or kept private: Not a directory"):
        open_store("orders", replace(config, data_dir=str(tmp_path / "file" / "stores")))


def test_who_has_the_public_key_alone_verifies_and_does_not_sign(config: Config) -> None:
    use(config)
    token = issue(replace(config, test_tokens=1), Principal(uuid4(), "li", frozenset({"SAL"})))
    Path(config.token_key_dir, "token.key").unlink()
    assert TokenVerifier(replace(config, test_tokens=1)).verify(f"Bearer {token}").name == "li"
    with pytest.raises(ConfigError, match=r"token\.key is missing"):
        issue(config, Principal(uuid4(), "li", frozenset({"SAL"})))
