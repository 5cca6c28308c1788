"""Patterns that find a text however it is written: for fields of whose texts no key is stored (`contracts.text`).

They fold character by character: letter case, width and Unicode form don't count, nor what can't be seen.  A character
that `key` writes as several is found as itself alone: whoever asks for Straße finds STRASSE, but not the other way
round, and who asks for (株) finds no ㈱.
"""

import re
from collections.abc import Mapping
from functools import cache
from unicodedata import decomposition, normalize

from contracts.text import is_invisible, key, keys, normal
from contracts.text import squashed as squashed_key

MANY_FORMS = [*range(0x21, 0x3400), *range(0xA640, 0xAC00), *range(0xFB00, 0xFFF0)]
"""The characters that may fold to others; of those beyond, only letter case does."""
_UNSEEN = r"\p{Cf}\x{fe00}-\x{fe0f}"
_BLANKS = r"\s\x{85}\p{Z}"
_SEPARATORS = "\\-\u2010-\u2015\u2212.()/_\uff0d\uff0e\uff08\uff09\uff0f\uff3f"
_MARKS = ("\u3099", "\u309a")
"""What stands behind a kana of half width, and within one of full width."""
_NO_MARK = "(?![\u3099\u309a\uff9e\uff9f])"


def escaped(text: str) -> str:
    """A text in a pattern of MongoDB's."""
    return re.sub(r"[\\^$.|?*+()\[\]{}#\-&~/ ]", r"\\\g<0>", text)


def folded(text: str) -> str:
    """A text as these patterns compare it."""
    seen = "".join(_fold(ch) for ch in normal(text) if ch.isspace() or not is_invisible(ch))
    return normalize("NFC", " ".join(seen.split()))


def squashed(text: str) -> str:
    """A text as these patterns look for it in others: without blanks, dashes, dots, slashes and brackets."""
    return "".join(ch for ch in folded(text) if squashed_key(ch))


def equal_patterns(text: str) -> list[str]:
    """What all of an equal text matches.  What can't be seen in it may be nothing, or stand for a blank."""
    blank = "".join(" " if is_invisible(ch) else ch for ch in normal(text))
    return [_equal_pattern(found) for found in dict.fromkeys(map(folded, (text, blank, *keys(text)))) if found]


def _equal_pattern(text: str) -> str:
    gap = f"[{_UNSEEN}]*+"
    words = [gap.join(map(_one, word)) for word in text.split()]
    around = f"[{_UNSEEN}{_BLANKS}]"
    return rf"\A{around}*+" + f"{around}++".join(words) + rf"{around}*+\z"


def squashed_pattern(text: str, begin: str, end: str) -> str:
    """What a text matches that has this one in it; `begin` and `end`: `\\A` and `\\z` where it begins, or ends, so."""
    gap = rf"[{_UNSEEN}{_BLANKS}{_SEPARATORS}]*+"
    found = gap.join(map(_one, squashed(text)))
    return f"{begin}{gap if begin else ''}{found}{_NO_MARK}{gap if end else ''}{end}"


@cache
def _fold(ch: str) -> str:
    found = key(ch) or ch
    if len(found) != 1:
        found = ch.lower()
    return found if len(found) == 1 else ch


@cache
def _written() -> Mapping[str, str]:
    """Every character by what it folds to."""
    found: dict[str, str] = {}
    for ch in map(chr, MANY_FORMS):
        if (ch.casefold() != ch or normalize("NFKC", ch) != ch) and (fold := _fold(ch)) != ch:
            found[fold] = found.get(fold, "") + ch
    return found


@cache
def _one(ch: str) -> str:
    """What one folded character matches."""
    forms = dict.fromkeys(ch + _written().get(ch, "") + (ch.upper() if len(ch.upper()) == 1 else ""))
    found = "".join(map(escaped, forms))
    found = f"[{found}]" if len(forms) > 1 else found
    parts = decomposition(ch).split()
    if len(parts) == 2 and (mark := chr(int(parts[1], 16))) in _MARKS:
        return f"(?:{found}|{_one(chr(int(parts[0], 16)))}{_one(mark)})"
    return found
