"""Opening the keys of persons, wherever the settings say they are, and using them in this process."""

from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chassis.foundation.config import Config, ConfigError
from chassis.foundation.connections import postgres_conninfo
from chassis.foundation.private_files import make_key, private_file, private_folder, read_key
from chassis.persons.keys import KEY_BITS, KeyRing, KeyStore
from chassis.persons.stores import MemoryKeys, PostgresKeys, SQLiteKeys, Wrapping
from chassis.store.postgres import alone
from chassis.store.sqlite import Waits, here
from contracts.personal import use

MASTER, FILE = "persons.key", "persons.sqlite"
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


def _require_kept(master: Path, keys: Path, data: Path) -> None:
    """Raises ConfigError where there are stores, and the keys of the persons in them are gone: new ones open none."""
    if master.exists() and not keys.exists() and any(data.glob("*.sqlite")):
        raise ConfigError(
            f"The keys of persons are gone: there is no {keys}, and without it nothing can be read of persons.  "
            f"Restore it, with its -wal file if it has one, from the backup of {data} that its other files are of.  "
            "Nothing was changed."
        )


def _opened(config: Config, waits: Waits) -> KeyStore:
    if config.event_store == "memory":
        return MemoryKeys()
    path, data = Path(config.token_key_dir) / MASTER, Path(config.data_dir)
    if config.event_store == "sqlite":
        kept = private_folder(data) / FILE
        _require_kept(path, kept, data)
        private_file(kept)  # before the master key, which tells from now on that it must be there
    make_key(path, lambda: AESGCM.generate_key(KEY_BITS))
    wrapping = Wrapping(read_key(path, shortest=KEY_BITS // 8)[: KEY_BITS // 8])
    if config.event_store == "sqlite":
        return SQLiteKeys(kept, wrapping, waits)
    conninfo = postgres_conninfo(config)
    with alone(conninfo) as connection:
        row = connection.execute("SELECT to_regclass('persons.person_keys')").fetchone()
        if row is None or row[0] is None:
            connection.execute(TABLE)
    return PostgresKeys(conninfo, wrapping)
