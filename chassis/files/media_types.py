"""What a file is, told by its content: neither its name nor who sends it is asked."""

import unicodedata

import puremagic

HEAD = 8_192
"""So many of the first octets tell it."""
UNKNOWN, TEXT, ZIP = "application/octet-stream", "text/plain", "application/zip"
_BEGINS_ZIP = b"PK\x03\x04"
_OFFICE = "application/vnd.openxmlformats-officedocument."
_IN_ZIP = {
    b"word/": f"{_OFFICE}wordprocessingml.document",
    b"xl/": f"{_OFFICE}spreadsheetml.sheet",
    b"ppt/": f"{_OFFICE}presentationml.presentation",
}
_LINES = "\t\n\r\f"


def media_type(head: bytes) -> str:
    """The media type of what begins so; `UNKNOWN` where that can't be told."""
    if head.startswith(_BEGINS_ZIP):  # every office document is one too
        is_office = b"[Content_Types].xml" in head
        return next((kind for mark, kind in _IN_ZIP.items() if is_office and mark in head), ZIP)
    try:
        found = [one.mime_type for one in puremagic.magic_string(head) if one.mime_type]
    except (puremagic.PureError, ValueError):
        found = []
    return str(found[0]) if found else TEXT if _is_text(head) else UNKNOWN


def _is_text(head: bytes) -> bool:
    """Whether it reads as UTF-8; the last character may be cut off."""
    for cut in range(4):
        try:
            text = head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return bool(text) and all(ch in _LINES or unicodedata.category(ch) != "Cc" for ch in text)
    return False
