"""When two texts are the same: how input is normalised, and the keys by which texts are compared and searched.

    normal("Cafe\\u0301\\u00a0X")        what is stored: composed, with plain blanks, as it was typed otherwise
    key("ＣＡＦÉ  X")                    "café x": what may stand in a unique index, and what a filter compares
    keys("Café\u200bX")                ["caféx", "café x"]: nobody sees whether that is one word or two
    squashed("+86 139-0000-0041")      "13900000041": what is searched

What one function takes for the same, all users of it do: duplicates, filters and search can't disagree.  Stores and
read models keep what they give: raise KEYS_EDITION when they give something else, and views make their keys anew.
"""

import re
import unicodedata
from functools import lru_cache

_NO_TEXT = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800-\\udfff]")
NO_LINE = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
"""What a text of one line has not: control characters, and line ends that are none; the inside of a class."""
NO_ORDER = r"\u202a-\u202e\u2066-\u206f\ufff9-\ufffb"
"""What changes in which order signs are shown, or joins what is no text: a name with it reads as another one.  Unicode
has embeddings, overrides and isolates for whole paragraphs (UAX #9), advises against the others (Unicode, 23.2 and
23.8), and against all of them in names (UTS #39).  Marks of direction, which scripts need within a name, are none of
these.  The inside of a class."""
AROUND = rf"\s\x85\u00ad\u200b\u2060\ufeff{NO_ORDER}"
"""What is pasted along around a text, a line break among it, and taken away: what `bare` does not keep; the inside of a
class."""
_NO_ORDER = re.compile(f"[{NO_ORDER}]")
_NO_LINE = re.compile(f"[{NO_LINE}]")
_BLANKS = re.compile(r"[^\S\n\r\t]")
_WIDE_BLANK = "\u3000"  # as wide as a Chinese character, and typed between Japanese names: it stays
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # not format characters, but not seen either
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015\u2212.()/_]+")
_CHINESE_MOBILE = re.compile(r"(?:\+|00)861[0-9]{10}")
_NATIONAL_MOBILE = re.compile("1[0-9]{10}")
_OF_NATIONAL_MOBILE = re.compile("1[0-9]{1,10}")
_TO_COUNTRIES = ("+", "00")
_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{6,})")
_COUNTRY_CODE = re.compile("1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9][0-9]{2}")
_ZERO_BELONGS = frozenset({"39", "225", "229", "241", "242", "378", "379"})
"""The country codes behind which a number may begin with 0 (ITU-T E.164); behind others it is what one dials within
the country, and people write it or not."""
KEYS_EDITION = 3


def has_controls(text: str) -> bool:
    """Whether it has control characters other than tab and line ends, or lone surrogates."""
    return bool(_NO_TEXT.search(text))


def is_one_line(text: str) -> bool:
    """Whether it has no line end, no tab and no other control character."""
    return not _NO_LINE.search(text)


def has_no_order(text: str) -> bool:
    """Whether it has characters by which signs are shown in another order than they are written."""
    return bool(_NO_ORDER.search(text))


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
    found = bare(text)
    return "" if is_blank(found) else found


def bare(text: str) -> str:
    """A text without blanks, line ends and what shows nothing by itself around it."""
    start, end = 0, len(text)
    while start < end and _is_edge(text[start]):
        start += 1
    while end > start and _is_edge(text[end - 1]):
        end -= 1
    return text[start:end]


WIDE = {ord(ch) + 0xFEE0: ch for ch in map(chr, range(0x21, 0x7F))}
"""Letters, digits and signs as wide as a Chinese character, and what they are in plain form."""
DASHES = r"\u2010-\u2015\u2212"
EDGES = r"\t-\r\x85 \u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufe00-\ufe0f\ufeff"
"""Blanks, line ends, and what is copied along unseen.  This and the next are insides of classes of patterns."""
BETWEEN_DIGITS = r" \u00a0\u00ad\u1680\u2000-\u206f\u2212\u3000\ufe00-\ufe0f\ufeff()./_（）．／＿\-－"
"""What may stand between the digits of a phone number: signs, blanks and what is not seen."""


def in_any_width(chars: str) -> str:
    """The inside of a class of a pattern (letters, digits, signs; `-` as a range only) with its wide forms."""
    return chars + "".join(ch if ch == "-" else chr(ord(ch) + 0xFEE0) for ch in chars if ch != "\\")


def in_wide_digits(pattern: str) -> str:
    """A pattern of digits, points and dashes that takes wide ones, too: what `plain_form` makes plain."""

    def wide(found: re.Match[str]) -> str:
        part = found[0]
        if part == "-":
            return rf"[\-\uff0d{DASHES}]"
        if part == r"\.":
            return r"[.\uff0e]"
        return part if part[0] == "{" else f"[{in_any_width(part.strip('[]'))}]"

    return _OF_DIGITS.sub(wide, pattern)


_OF_DIGITS = re.compile(r"\{[^}]*\}|\[[0-9+-]+\]|[0-9]|-|\\\.")
"""The parts of a pattern of digits: counts, which stay, classes, digits, dashes and points."""


def plain_form(text: str) -> str:
    """A phone number or mail address in plain letters, digits and signs, with nothing around that can't be seen."""
    return _DASHES.sub("-", _AROUND.sub("", text).translate(WIDE))


def phone_form(text: str) -> str:
    """A phone number as it is stored: a Chinese mobile number without blanks and dashes, another as it was typed.

    00 before a country is +, of brackets, dots and slashes blanks are left, and of many blanks and dashes one blank.
    """
    plain = " ".join(_NO_DASH.sub(" ", plain_form(text)).split())
    digits = plain.replace(" ", "").replace("-", "")
    if _NATIONAL_MOBILE.fullmatch(digits):
        return digits
    plain = _TO_COUNTRY.sub("+", plain.strip(" -"))
    return _MANY_BLANKS.sub(" ", plain)


_AROUND = re.compile(f"^[{EDGES}]+|[{EDGES}]+(?![\\s\\S])")
_NO_DASH = re.compile(f"(?!-)[{BETWEEN_DIGITS}]")
_TO_COUNTRY = re.compile("^(?:[+]|0[ -]*0)[ -]*")
_MANY_BLANKS = re.compile("[ -]{4,}")
_DASHES = re.compile(f"[{DASHES}]")
_UNSEEN_ALONE = frozenset(  # the others belong to what stands beside them
    ("\u200b", "\u2060", "\ufeff", "\u00ad", *_NO_ORDER.findall("".join(map(chr, range(0x2000, 0xFFFE)))))
)


def _is_edge(ch: str) -> bool:
    return ch.isspace() or ch in _UNSEEN_ALONE


def key(text: str) -> str:
    """What a text is compared by: letter case, width, Unicode form, unseen characters and blanks around don't count.

    Of a text in plain form it is what `strip().casefold()` gives, so that keys made by that stay what they were.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split()).casefold()
    return _key(text)


def keys(text: str) -> list[str]:
    """Every key a text may have, that of `key` first.

    What can't be seen may be nothing between two letters, or stand for a blank: such a text is the same as either.
    """
    if text.isascii() and text.isprintable():
        return [key(text)]
    return list(dict.fromkeys((_key(text), _key(text, " "))))


@lru_cache(20_000)
def _key(text: str, unseen: str = "") -> str:
    composed = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(ch if ch.isspace() or not is_invisible(ch) else unseen for ch in composed).split())


def squashed(text: str) -> str:
    """What a text is searched by: its key without blanks, dashes, dots, slashes and brackets.

    A phone number is one however it is written: 13900000041 and +86 139-0000-0041, +81 90-1234-5678 and
    +81 (0)90-1234-5678.
    """
    return _number(_SEPARATORS.sub("", key(text)))


def squashed_forms(text: str) -> list[str]:
    """Every form in which a text may be searched, that of `squashed` first: a part of any of them finds it."""
    plain = _SEPARATORS.sub("", key(text))
    return list(dict.fromkeys((_number(plain), plain, *_with_zero(plain))))


_WIDE_SCRIPTS = "\u2e80"
"""Chinese, Japanese and Korean letters begin here, of which two tell as much as three of others."""


def parts(found_by: str) -> list[str]:
    """The pieces of a text of `squashed_forms` by which an index finds those that hold it, each once.

    Two letters of Chinese, Japanese or Korean, else three of whatever there is.  What a text holds has no pieces but
    the text's own; one that is too short has none.
    """
    found: dict[str, None] = {}
    for at in range(len(found_by) - 1):
        if found_by[at] >= _WIDE_SCRIPTS and found_by[at + 1] >= _WIDE_SCRIPTS:
            found[found_by[at : at + 2]] = None
        elif at + 3 <= len(found_by):
            found[found_by[at : at + 3]] = None
    return list(found)


def ways_written(text: str, *, is_begin: bool = False) -> list[str]:
    """Every way in which what is searched by the same key may be written, blanks and dashes aside: for texts of which
    no key is stored.  A phone number may have its country or not, + or 00 before that, and a 0 behind it.

    `is_begin`: the text is what others begin with, so it may be a part of a number.
    """
    forms = squashed_forms(text)
    number = forms[0]
    if _NATIONAL_MOBILE.fullmatch(number) or (is_begin and _OF_NATIONAL_MOBILE.fullmatch(number)):
        forms += [f"{to_country}86{number}" for to_country in _TO_COUNTRIES]
    for form in tuple(forms):
        to_country = next((one for one in _TO_COUNTRIES if form.startswith(one)), None)
        if to_country and (is_begin or _international(form)):
            digits = form.removeprefix(to_country)
            forms += [one + way for one in _TO_COUNTRIES for way in (digits, *_dialled_within(digits))]
    return list(dict.fromkeys(forms))


def _dialled_within(digits: str) -> list[str]:
    """Digits that begin with a country, with the 0 behind that which is dialled within it."""
    country = _COUNTRY_CODE.match(digits)
    if country is None or country[0] in _ZERO_BELONGS or country.end() == len(digits):
        return []
    return [f"{country[0]}0{digits[country.end() :].removeprefix('0')}"]


def phone_key(text: str) -> str:
    """What a phone number is compared by, however it is written."""
    return _number(_joined(text))


def phone_keys(text: str) -> list[str]:
    """Every key a phone number may have had: that of `phone_key`, and those of former releases."""
    plain = _joined(text)
    return list(dict.fromkeys((_number(plain), plain, *_with_zero(plain))))


def _joined(text: str) -> str:
    bare = _SEPARATORS.sub("", key(text))
    if _INTERNATIONAL.fullmatch(bare) or _NATIONAL_MOBILE.fullmatch(bare):
        return bare
    return _DASHES.sub("", key(text)).replace(" ", "").replace("-", "")


def _number(plain: str) -> str:
    """The one form of a phone number without blanks; any other text is what it is."""
    if (parts := _international(plain)) is None:
        return plain
    country, number = parts
    if country not in _ZERO_BELONGS:
        number = number.removeprefix("0")
    found = f"+{country}{number}"
    return found[-11:] if _CHINESE_MOBILE.fullmatch(found) else found


def _with_zero(plain: str) -> list[str]:
    """The form of an international number in which the 0 is written that is dialled within the country."""
    if (parts := _international(plain)) is None or parts[0] in _ZERO_BELONGS:
        return []
    return [f"+{parts[0]}0{parts[1].removeprefix('0')}"]


def _international(plain: str) -> tuple[str, str] | None:
    """Country and number of an international phone number."""
    if not (found := _INTERNATIONAL.fullmatch(plain)) or not (country := _COUNTRY_CODE.match(found[1])):
        return None
    return country[0], found[1][country.end() :]
