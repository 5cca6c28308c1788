"""What is packed comes back as it was, whatever it is and whoever packs at the same time."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.foundation.compression import EDITION, EXAMPLES, Damaged, packed, unpacked

FIRST_EDITION = "c4f78c21fa81a0b2e51dafff325f2909a08fab0d1acabae676ad2a41afac1208"
EVENT = EXAMPLES.splitlines()[-1]


def test_the_examples_of_an_edition_never_change() -> None:
    """Stores are full of what was packed with them: a better dictionary is another edition beside this one."""
    assert (EDITION, sha256(EXAMPLES).hexdigest()) == (b"\x01", FIRST_EDITION)


@given(st.text())
def test_every_json_text_comes_back(text: str) -> None:
    plain = b"[" + text.encode("utf-8", "surrogatepass") + b"]"
    assert unpacked(packed(plain)) == plain
    assert len(packed(plain)) <= len(plain)


def test_an_event_takes_a_fraction_of_its_room() -> None:
    other = EVENT.replace(b"13800138000", b"13911112222").replace(b"19.90", b"21.35")
    assert other != EVENT
    assert len(packed(other)) < len(other) / 4


def test_what_a_former_release_stored_is_read_as_it_is() -> None:
    assert unpacked(EVENT) == EVENT


@pytest.mark.parametrize("at", range(1, len(packed(EVENT + EVENT[:40]))))
def test_any_changed_octet_shows(at: int) -> None:
    stored = bytearray(packed(EVENT + EVENT[:40]))
    stored[at] ^= 0x55
    with pytest.raises(Damaged):
        unpacked(bytes(stored))


@pytest.mark.parametrize("found", [None, 5, 1.5, [], ""], ids=repr)
def test_what_is_no_bytes_any_more_is_damaged_or_no_json(found: object) -> None:
    """A hand can write anything into a column."""
    try:
        assert unpacked(found) == b""
    except Damaged as damage:
        assert repr(found) in str(damage)


LONG = b'{"note":"' + b"x" * 300_000 + b'"}'


@pytest.mark.parametrize("plain", [EVENT, LONG], ids=["event", "long"])
def test_no_changed_bit_gives_anything_else(plain: bytes) -> None:
    """Also one that tells of more than there is memory for; what only describes the same differently may pass."""
    stored = packed(plain)
    for at in range(8, 8 * len(stored)):
        changed = bytearray(stored)
        changed[at // 8] ^= 1 << at % 8
        try:
            assert unpacked(bytes(changed)) == plain
        except Damaged:
            continue


@pytest.mark.parametrize("more", [b"\x00", EVENT, packed(EVENT)], ids=["octet", "json", "packed"])
def test_what_was_written_behind_packed_bytes_shows(more: bytes) -> None:
    with pytest.raises(Damaged):
        unpacked(packed(EVENT + EVENT[:40]) + more)


def test_bytes_that_were_cut_off_show() -> None:
    stored = packed(EVENT + EVENT[:40])
    for length in range(1, len(stored)):
        with pytest.raises(Damaged):
            unpacked(stored[:length])


def test_threads_pack_beside_each_other() -> None:
    texts = [EVENT + str(number).encode() * 50 for number in range(2_000)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda text: unpacked(packed(text)), texts)) == texts
