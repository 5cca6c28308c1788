"""What can go wrong with the development stack, in words that name the way out.

The text of a `DevstackError` is shown to a person as it is, without a traceback: it says what happened,
where to look and what to do next.
"""


class DevstackError(Exception):
    """The stack cannot do what was asked."""


class MissingPackage(DevstackError):
    """A Python package that brings a server is not installed."""


class PortBusy(DevstackError):
    """Another program listens on the port of a server."""


class NoDiskSpace(DevstackError):
    """The disk is too full for a server to run safely."""


class DownloadFailed(DevstackError):
    """Kafka's jars could not be fetched, or are not the ones that were expected."""


class StartFailed(DevstackError):
    """A server ended during its start, or did not become healthy in time."""


class Vanished(StartFailed):
    """The process of a server ended while its health was awaited."""


class NotOurs(DevstackError):
    """A server whose address came from the environment was asked to stop or to be wiped."""


class NotReady(Exception):
    """A health check failed. Expected while a server starts, so it is not a `DevstackError`."""
