"""Opening the keys of persons, wherever the settings say they are, and using them in this process."""

from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chassis.foundation.config import Config
from chassis.foundation.connections import postgres_conninfo
from chassis.foundation.private_files import make_key, private_file, private_folder, read_key
from chassis.persons.keys import KEY_BITS, KeyRing, KeyStore
from chassis.persons.stores import MemoryKeys, PostgresKeys, SQLiteKeys, Wrapping
from chassis.store.postgres import alone
from chassis.store.sqlite import Waits, here
from contracts.personal import use

MASTER = "persons.key"
TABLE = """
CREATE SCHEMA IF NOT EXISTS persons;
CREATE TABLE persons.person_keys (person uuid PRIMARY KEY, key bytea, destroyed_at timestamptz)
"""


def use_keys(config: Config, waits: Waits = here) -> KeyRing:
    """Seal and open with the keys that the settings name, in all of this process; they are opened when first needed."""
    ring = KeyRing(partial(open_keys, config, waits))
    use(ring)
    return ring


def open_keys(config: Config, waits: Waits = here) -> KeyStore:
    """Open (and if need be create) the keys of persons.  Raises ConfigError, also for those of another installation."""
    store = _opened(config, waits)
    store.find(store.any())
    return store


def _opened(config: Config, waits: Waits) -> KeyStore:
    if config.event_store == "memory":
        return MemoryKeys()
    path = Path(config.token_key_dir) / MASTER
    make_key(path, lambda: AESGCM.generate_key(KEY_BITS))
    wrapping = Wrapping(read_key(path, shortest=KEY_BITS // 8)[: KEY_BITS // 8])
    if config.event_store == "sqlite":
        return SQLiteKeys(private_file(private_folder(Path(config.data_dir)) / "persons.sqlite"), wrapping, waits)
    conninfo = postgres_conninfo(config)
    with alone(conninfo) as connection:
        row = connection.execute("SELECT to_regclass('persons.person_keys')").fetchone()
        if row is None or row[0] is None:
            connection.execute(TABLE)
    return PostgresKeys(conninfo, wrapping)
