"""Where a request comes from: the peer's address, or the one that a trusted proxy tells of in X-Forwarded-For."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from chassis.foundation.config import ConfigError

IpNetwork = IPv4Network | IPv6Network


def networks(setting: str, name: str) -> tuple[IpNetwork, ...]:
    """The networks of a setting such as "10.0.0.0/8, ::1".  Raises ConfigError naming the variable."""
    try:
        return tuple(ip_network(text.strip()) for text in setting.split(",") if text.strip())
    except ValueError as error:
        raise ConfigError(f"{name}={setting!r} must be networks such as 10.0.0.0/8, separated by commas") from error


@lru_cache(maxsize=10_000)
def canonical(text: str) -> str | None:
    """An address in its one spelling, an IPv4 address within IPv6 as such; None for what is no address."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def within(address: str, listed: Sequence[IpNetwork]) -> bool:
    """Whether an address is in one of these networks; no address is in none."""
    return bool(address) and any(ip_address(address) in network for network in listed)


@lru_cache(maxsize=10_000)
def household(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 that an IPv6 client chooses its addresses from."""
    return str(ip_network(f"{address}/64", strict=False)) if ":" in address else address


class Proxies:
    """The proxies whose word about a client's address is taken: `TRUSTED_PROXIES`."""

    def __init__(self, trusted: Sequence[IpNetwork]) -> None:
        self._trusted = trusted
        self._is_trusted = lru_cache(maxsize=1_000)(self._look_up)

    def _look_up(self, address: str) -> bool:
        return within(address, self._trusted)

    def client_of(self, peer: str, forwarded_for: str) -> str:
        """The client's address: the last one in X-Forwarded-For that is no trusted proxy's.

        Each proxy appends whom it was asked by, so only what trusted ones have appended is believed.  Without a trusted
        peer the header says nothing.
        """
        client = canonical(peer)
        if client is None or not forwarded_for or not self._trusted or not self._is_trusted(client):
            return client or peer
        for text in reversed(forwarded_for.split(",")):
            told = canonical(text)
            if told is None:
                break
            client = told
            if not self._is_trusted(told):
                break
        return client
