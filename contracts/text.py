"""When two texts are the same: how input is normalised, and the keys by which texts are compared and searched.

    normal("Cafe\\u0301\\u00a0X")        what is stored: composed, with plain blanks, as it was typed otherwise
    key("ＣＡＦÉ  X")                    "café x": what may stand in a unique index, and what a filter compares
    squashed("+86 139-0000-0041")      "13900000041": what is searched

What one function takes for the same, all users of it do: duplicates, filters and search can't disagree.
"""

import re
import unicodedata
from functools import lru_cache

_NO_TEXT = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800-\\udfff]")
_BLANKS = re.compile(r"[^\S\n\r\t]")
_WIDE_BLANK = "\u3000"  # as wide as a Chinese character, and typed between Japanese names: it stays
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # not format characters, but not seen either
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015\u2212.()/_]+")
_CHINESE_MOBILE = re.compile(r"(?:\+|00)861[0-9]{10}")


def has_controls(text: str) -> bool:
    """Whether it has control characters other than tab and line ends, or lone surrogates."""
    return bool(_NO_TEXT.search(text))


def is_invisible(ch: str) -> bool:
    """Whether a character shows nothing and takes no room: zero-width blanks, joiners, direction marks, fillers."""
    return ch in _FILLERS or unicodedata.category(ch) in ("Cf", "Cc") or "\ufe00" <= ch <= "\ufe0f"


def is_blank(text: str) -> bool:
    """Whether nothing of it can be seen."""
    return not text.strip() or all(ch.isspace() or is_invisible(ch) for ch in text)


def normal(text: str) -> str:
    """A text as it is stored: in composed form (NFC), no-break and other odd blanks plain, nothing unseen around it.

    Marks that change how a script reads (joiners, directions) stay within it; of a text that shows nothing else nothing
    is left.
    """
    if not text.isascii():
        text = _BLANKS.sub(lambda found: _WIDE_BLANK if found[0] == _WIDE_BLANK else " ", text)
        text = unicodedata.normalize("NFC", text)
    start, end = 0, len(text)
    while start < end and _is_edge(text[start]):
        start += 1
    while end > start and _is_edge(text[end - 1]):
        end -= 1
    found = text[start:end]
    return "" if is_blank(found) else found


def plain_form(text: str) -> str:
    """A phone number or mail address as it is stored: full-width letters, digits and signs plain, no blanks around."""
    if any(ch in text for ch in "\n\r\t"):
        return text  # whoever checks its form refuses it
    return _DASHES.sub("-", unicodedata.normalize("NFKC", normal(text)))


_DASHES = re.compile("[\u2010-\u2015\u2212]")
_UNSEEN_ALONE = frozenset("\u200b\u2060\ufeff\u00ad")  # the others belong to what stands beside them


def _is_edge(ch: str) -> bool:
    return ch.isspace() or ch in _UNSEEN_ALONE


def key(text: str) -> str:
    """What a text is compared by: letter case, width, Unicode form, unseen characters and blanks around don't count.

    Of a text in plain form it is what `strip().casefold()` gives, so that keys made by that stay what they were.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split()).casefold()
    return _key(text)


@lru_cache(20_000)
def _key(text: str) -> str:
    composed = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(ch for ch in composed if ch.isspace() or not is_invisible(ch)).split())


def squashed(text: str) -> str:
    """What a text is searched by: its key without blanks, dashes, dots, slashes and brackets.

    A Chinese mobile number has no +86: 13900000041 and +86 139-0000-0041 are one number.
    """
    plain = _SEPARATORS.sub("", key(text))
    return plain[-11:] if _CHINESE_MOBILE.fullmatch(plain) else plain


def phone_key(text: str) -> str:
    """What a phone number is compared by, however it is written."""
    plain = key(text).replace(" ", "").replace("-", "")
    return plain[-11:] if _CHINESE_MOBILE.fullmatch(plain) else plain
