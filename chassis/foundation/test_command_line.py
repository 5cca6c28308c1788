"""A connection that breaks is an error like any other, not the end of the command line's reader."""

import pytest

from chassis.foundation.command_line import command_line


def test_a_broken_connection_is_told() -> None:
    @command_line
    def main(_: list[str] | None = None) -> int:
        raise BrokenPipeError("of Kafka")

    with pytest.raises(BrokenPipeError, match="of Kafka"):
        main([])


def test_the_exit_code_is_handed_on() -> None:
    assert command_line(len)(["a", "b"]) == 2
