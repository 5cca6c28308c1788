"""Settings that can't be used are refused before anything starts, with their name and what may stand there."""

from dataclasses import fields

import pytest

from chassis.foundation.config import CHOICES, Config, ConfigError

NUMBERS = [item.name for item in fields(Config) if isinstance(item.default, int | float)]
FORMS = [item.name for item in fields(Config) if "form" in item.metadata]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["abc", "nan", "inf", "-1", "1e7000", "½"])
def test_no_number(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name.upper()}=.* must be a (whole )?number"):
        Config.from_env({name.upper(): text})


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("text", ["nonsense", "127.0.0.1:99999", "-", "10.0.0.0/8/second"])
def test_another_form(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name.upper()}=.* must be .* such as "):
        Config.from_env({name.upper(): text})


@pytest.mark.parametrize("name", FORMS)
def test_the_default_and_the_example_are_taken(name: str) -> None:
    default = getattr(Config(), name)
    if default:
        assert getattr(Config.from_env({name.upper(): default}), name) == default
    _, what = Config.__dataclass_fields__[name].metadata["form"]
    example = what.partition("such as ")[2].partition(" or ")[0].partition(",")[0]
    assert getattr(Config.from_env({name.upper(): example}), name) == example


@pytest.mark.parametrize("name", CHOICES)
def test_none_of_a_choice(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name.upper()}='LOUD' must be one of {CHOICES[name][0]}"):
        Config.from_env({name.upper(): "LOUD"})
