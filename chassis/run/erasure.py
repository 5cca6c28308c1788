"""Erasing a person: their key is destroyed, every view that tells of persons is built anew without them, and the octets
of files on their records are deleted."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO
from uuid import UUID

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.model.views import View
from chassis.persons.keys import LOOKED_UP_EVERY, KeyRing
from chassis.projections.collections import connect
from chassis.projections.rebuild import Rebuild
from chassis.run.upkeep import sweep_here
from contracts.personal import plan_of

STEP = 1.0
"""Seconds by which a process that has just looked may be later."""


def views_of_persons() -> Sequence[View]:
    """The views whose events have personal texts."""
    return [view for view in Catalogue.read().views("projector") if any(map(plan_of, view.handlers))]


def erase(
    config: Config,
    keys: KeyRing,
    person: UUID,
    out: TextIO = sys.stdout,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Erase a person, and tell how far it is; returns whether there was anything to erase.

    One that was called off is begun again: the key is gone then, and the views are built anew.  Processes that run go
    on with the key for LOOKED_UP_EVERY seconds at most: views are built after that, so that nothing stays of what was
    written or shown meanwhile.
    """
    if not keys.is_known(person):
        print(f"{person}: nothing was ever known of such a person", file=out)
        return False
    had = keys.destroy(person)
    told = "destroyed" if had else "gone: it was destroyed before"
    print(f"{person}: the key is {told}", file=out, flush=True)
    print(f"waiting {LOOKED_UP_EVERY:.0f} s: until then processes that run may know it", file=out, flush=True)
    sleep(LOOKED_UP_EVERY + STEP)
    database = connect(config)
    try:
        for view in views_of_persons():
            print(f"building {view.name} anew", file=out, flush=True)
            Rebuild(config, database, view, out).run(force=True)
    finally:
        database.client.close()
    print(f"{sweep_here(config)} files deleted", file=out)
    return had
