"""What was counted of a list stays so until something happens to its rows: it is counted once, and then remembered.

Whoever turns pages asks for the total with each of them, and so do all who open the same list.  The state of a view is
written with its rows, in one transaction: as long as it tells of the same events, the rows are the same.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, TypeVar

from bson import encode

T = TypeVar("T")
Document = dict[str, Any]
MOST = 500
"""So many results are kept for each list."""
STATE_OF_ROWS = ("collection", "generation", "revision", "sources")
"""What of a view's state changes whenever its rows do; how idle it is does not."""


class Remembered:
    """The results of what was counted of one view lately."""

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, Any] = OrderedDict()

    def get(self, state: Mapping[str, Any], stages: Sequence[Document], count: Callable[[], T]) -> T:
        """What these stages give in this state of the view, counted unless that is known."""
        about = {name: state.get(name) for name in STATE_OF_ROWS} | {"stages": list(stages)}
        key = sha256(encode(about)).digest()
        if key in self._found:
            self._found.move_to_end(key)
        else:
            self._found[key] = count()
            while len(self._found) > MOST:
                self._found.popitem(last=False)
        found: T = self._found[key]
        return found
