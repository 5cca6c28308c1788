"""Memory that the garbage collector need not look through, and memory that goes back to the machine."""

import ctypes
import gc

LARGE = 4 * 2**20
"""Bytes from which a block is mapped by itself.  Hashing a password takes 19 MB; nothing that is kept is so large."""

# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def settle_memory() -> None:
    """Take what was loaded at the start out of the garbage collector's sight, and let it look less often.

    Few objects of ours are in cycles; looking for them so often cost the writer 10 to 25 us a command, and a rebuild
    30 us an event.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    give_large_blocks_back()


def give_large_blocks_back() -> None:
    """Let the C library return every large block to the machine as soon as it is free.

    glibc maps a large block by itself, but after the first that is freed it takes the next ones from its heap, where
    whatever stands above them keeps them: sign-ins cost the api 40 MB for good.  Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, 2 * LARGE)
