"""People of the demonstration company (`deploy/demo_users.toml`), for tokens that tests get without signing in."""

import tomllib
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from chassis.foundation.config import ConfigError
from chassis.model.principal import Principal

USERS_FILE = Path(__file__).parents[2] / "deploy" / "demo_users.toml"


def user_id(name: str) -> UUID:
    """The id of a demo user."""
    return uuid5(NAMESPACE_URL, f"salestream:user:{name}")


def demo_users() -> list[Principal]:
    """All of them."""
    return [demo_user(name) for name in tomllib.loads(USERS_FILE.read_text())["users"]]


def demo_user(name: str) -> Principal:
    """A demo user by name.  Raises ConfigError."""
    users = tomllib.loads(USERS_FILE.read_text())["users"]
    if name not in users:
        raise ConfigError(f"no demo user {name!r}; there are {', '.join(users)} (or give --roles)")
    entry = users[name]
    superior = entry.get("superior")
    return Principal(user_id(name), name, frozenset(entry["roles"]), user_id(superior) if superior else None)
