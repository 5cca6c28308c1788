"""The query parameters that every list has, whatever it is a list of.

They are named here alone: a field of the same name could not be asked about, so declarations refuse it
(`contracts.records`, `chassis.model.views`).
"""

from typing import Literal

WHERE, GROUP, SUM, SORT = "where", "group", "sum", "sort"
VIEWED = "viewed_at"
"""What lists of records are sorted by besides their columns: when the caller has looked at each (UIX-10)."""
INCOMPLETE = "incomplete"
"""The parameter for records that lack what the company wants to be filled (CUS-23)."""
WORDS = "q"
"""The parameter for words, which lists have where they are searched."""
MOST_ROWS = 200
"""The rows that a page may have."""
PAGING = ("limit", "cursor", SORT, "count", "format", GROUP, SUM)
"""Which of the rows are told, in which order and form, and what is told besides."""
HEADS = "heads"
"""The parameter for what the heads of the columns of a file are."""
Heads = Literal["labels", "names"]
"""What fields are called in the caller's language, or their names."""
AS_OF = "as_of"
"""The parameter for a moment of the past, of lists that keep their history."""
VIEW = "view"
"""The parameter for a saved view, whose query it stands for."""
LIST_PARAMETERS = frozenset({*PAGING, WHERE, WORDS, AS_OF, VIEW, HEADS})
