"""Tokens signed with a key that was put there while a process runs."""

from pathlib import Path

import pytest

from chassis.access.tokens import LOOK_AGAIN_SECONDS, TokenVerifier, issue
from chassis.foundation.config import Config
from chassis.testing.people import SALES
from contracts.errors import Refused


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def changed(folder: Path) -> None:
    """As docs/runbooks/signing-key.md says: the public key stays, under another name."""
    (folder / "token.pub").rename(folder / "old.pub")
    (folder / "token.key").unlink()


def test_a_process_that_runs_takes_tokens_of_a_new_key_and_of_the_old(tmp_path: Path) -> None:
    config, clock = Config(token_key_dir=str(tmp_path), test_tokens=True), Clock()
    verifier = TokenVerifier(config, ticks=clock)
    before = issue(config, SALES)
    changed(tmp_path)
    after = issue(config, SALES)
    clock.now += LOOK_AGAIN_SECONDS
    assert [verifier.verify(f"Bearer {token}").user_id for token in (after, before)] == [SALES.user_id] * 2


def test_made_up_keys_do_not_make_it_look_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, clock = Config(token_key_dir=str(tmp_path), test_tokens=True), Clock()
    verifier = TokenVerifier(config, ticks=clock)
    other = Config(token_key_dir=str(tmp_path / "other"), test_tokens=True)
    looks: list[Path] = []

    def looking(folder: Path) -> dict[str, bytes]:
        looks.append(folder)
        return {}

    monkeypatch.setattr("chassis.access.tokens.public_keys", looking)
    clock.now += LOOK_AGAIN_SECONDS
    for _ in range(5):
        with pytest.raises(Refused) as refused:
            verifier.verify(f"Bearer {issue(other, SALES)}")
        assert refused.value.code == "UNAUTHENTICATED"
    assert len(looks) == 1


def test_a_damaged_file_among_the_keys_ends_nobodys_sign_in(tmp_path: Path) -> None:
    config, clock = Config(token_key_dir=str(tmp_path), test_tokens=True), Clock()
    verifier = TokenVerifier(config, ticks=clock)
    token = issue(config, SALES)
    (tmp_path / "broken.pub").write_text("none")
    clock.now += LOOK_AGAIN_SECONDS
    with pytest.raises(Refused):
        verifier.verify(f"Bearer {issue(Config(token_key_dir=str(tmp_path / 'other'), test_tokens=True), SALES)}")
    assert verifier.verify(f"Bearer {token}").user_id == SALES.user_id
