"""Two records of a kind that are about the same are merged into one, and taken apart again (CUS-22, ADR 0066).

    @record("/customers", ..., owned=True, merge="customers.merge")
    class CustomerData: ...

From the declaration come the commands MergeCustomer (POST <row>/merge) and UnmergeCustomer (POST <row>/unmerge), the
events CustomerMerged, CustomerUnmerged and CustomerJoined, the columns `merged_into` and `merged_ids`, and the question
what would come of it (GET <row>/merge).  Nothing is written anew: the record that went into another one keeps its id,
its history and what names it, and whoever asks for what there is about the other finds that too.
"""

DUPLICATE, TAKE = "duplicate_id", "take"
"""The fields of the command: the record that goes into the other one, and whose values of which fields are taken."""
MERGED_INTO, MERGED_IDS = "merged_into", "merged_ids"
"""The columns of lists with the record into which one went, and those that went into it."""
MERGED = "MERGED"
"""The state of a record that went into another one, as refusals tell it."""
MOST_MERGED = 50
"""So many records are one at most, those that went into what went into it counted too."""
