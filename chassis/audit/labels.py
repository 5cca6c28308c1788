"""What people read instead of the names that programs use: SubmitOrder is "Submit order" (SEC-21)."""

import re
from functools import cache

_RESULTS = {"DONE": "Done", "REPEATED": "Done before, with the same key"}


@cache
def label(name: str) -> str:
    """A name of code as words: of a command, a view, or a kind of record."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").lower().strip()
    return words[:1].upper() + words[1:]


def result_label(result: str) -> str:
    """How an act ended; a refusal by its code."""
    return _RESULTS.get(result) or f"Refused: {label(result).lower()}"
