"""How long texts lie on the disk: compressed (Zstandard), with examples of what we store as the dictionary.

What is stored repeats the names of its fields, and ids; events of 620 bytes take 130.  Packed bytes begin with the
edition of the examples they were packed with, so an edition is never changed: what it packed could not be read any
more.  What is not packed is JSON, which begins with another octet: what former releases have stored is read as it is.
"""

from collections import deque
from pathlib import Path

import zstandard

EDITION = b"\x01"
EXAMPLES = Path(__file__).with_name("compression_examples_1.txt").read_bytes()
LEVEL = 1
BLOCK_BYTES, BLOCK_HEAD_BYTES = 131_072, 3
"""What a block of Zstandard gives at most, and what tells of one at least (RFC 8878)."""


class Damaged(ValueError):
    """Packed bytes were changed: their checksum says so, or they are none."""


_dictionary = zstandard.ZstdCompressionDict(EXAMPLES, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
_dictionary.precompute_compress(level=LEVEL)
# One is used by one thread at a time, so each takes one out; there are as many as were ever needed at once.
_packing: deque[zstandard.ZstdCompressor] = deque()
_unpacking: deque[zstandard.ZstdDecompressor] = deque()


def packed(plain: bytes) -> bytes:
    """Some JSON as it is stored; as it is where packing does not make it shorter."""
    try:
        one = _packing.pop()
    except IndexError:
        one = zstandard.ZstdCompressor(level=LEVEL, dict_data=_dictionary, write_checksum=True, write_dict_id=False)
    try:
        made = EDITION + one.compress(plain)
    finally:
        _packing.append(one)
    return made if len(made) < len(plain) else plain


def unpacked(stored: object) -> bytes:
    """The JSON that was stored, packed or not, or what somebody has made of it by hand (a text).  Raises Damaged."""
    if isinstance(stored, str):
        stored = stored.encode(errors="replace")
    if not isinstance(stored, bytes | bytearray | memoryview):
        raise Damaged(f"there are no bytes but {stored!r}")
    if stored[:1] != EDITION:
        return _legible(bytes(stored))
    try:
        one = _unpacking.pop()
    except IndexError:
        one = zstandard.ZstdDecompressor(dict_data=_dictionary)
    frame = bytes(stored[1:])
    try:
        _require_possible(frame)
        return one.decompress(frame, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError) as error:
        raise Damaged(f"packed bytes are damaged: {error}") from error
    finally:
        _unpacking.append(one)


def _legible(plain: bytes) -> bytes:
    """JSON without a checksum.  Raises Damaged where it is none that anybody could read on Kafka."""
    try:
        plain.decode()
    except UnicodeDecodeError as error:
        raise Damaged(f"it is no UTF-8: {error}") from error
    return plain


def _require_possible(frame: bytes) -> None:
    """Raises ZstdError for a head that tells of more than there can be: the library makes room for it first."""
    told, most = zstandard.frame_content_size(frame), len(frame) // BLOCK_HEAD_BYTES * BLOCK_BYTES
    if told > most:
        raise zstandard.ZstdError(f"{len(frame)} bytes can't hold {told}")
