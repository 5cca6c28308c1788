"""What stops the demo, in words that name the way out."""


class DemoError(Exception):
    """The demo can't go on; the text is shown to a person as it is, without a traceback."""
