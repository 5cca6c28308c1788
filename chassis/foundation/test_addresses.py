"""Whose word about a client's address is taken."""

import pytest

from chassis.foundation.addresses import Proxies, networks
from chassis.foundation.config import ConfigError

PROXIES = Proxies(networks("10.0.0.0/8, ::1", "TRUSTED_PROXIES"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),  # a stranger's word counts for nothing
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "127.0.0.1, 198.51.100.7", "198.51.100.7"),  # what the client itself wrote comes first
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.7, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::1", "2001:DB8:0::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
    ],
)
def test_only_what_trusted_proxies_say_is_believed(peer: str, forwarded: str, client: str) -> None:
    assert PROXIES.client_of(peer, forwarded) == client


def test_without_trusted_proxies_the_peer_is_the_client() -> None:
    assert Proxies(()).client_of("127.0.0.1", "198.51.100.7") == "127.0.0.1"


def test_a_setting_that_is_no_list_of_networks_is_named() -> None:
    with pytest.raises(ConfigError, match=r"TRUSTED_PROXIES='10\.0\.0' must be networks"):
        networks("10.0.0", "TRUSTED_PROXIES")
