"""The languages of the company and of whoever asks (SET-02)."""

from typing import Literal, get_args

Language = Literal["zh", "ja", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
