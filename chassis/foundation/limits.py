"""How large things may be: what a command accepts, all that follows of it can hold.

    event of a person's command  <  what services make of it  <  message on Kafka  <  letter about a message

A saga keeps the fact that started it, sends commands made from it, and services answer with events that repeat it:
each holds that fact once and details of its own beside it.  So what follows may be as large again as what a person
caused, and Kafka takes that with its headers.  Of many events of one command the sum counts.  Only the first limit is
a choice; the others are derived from it.
"""

MAX_EVENT_BYTES = 900_000
"""The longest event that a command from outside may cause (its body may have MAX_BODY_BYTES)."""

MAX_FOLLOWING_BYTES = 2 * MAX_EVENT_BYTES
"""The longest fact that follows of such an event: in a saga's store, or by a command between services."""

MAX_RECORDED_BYTES = MAX_FOLLOWING_BYTES
"""What all events of a command from outside may have in sum: what follows of it holds them, each once."""

MAX_RECORDED_AFTER_BYTES = 2 * MAX_RECORDED_BYTES
"""The same of a command between services, which repeats what a person caused beside what it does itself."""

MAX_HEADER_BYTES = 16_384
"""The headers of a record; ours have about one thousand."""

MAX_KEY_BYTES = 800
"""The longest key of a record: a name of 200 characters of 4 bytes each."""

MAX_NAME_BYTES = 200
"""A record's type, and its id."""

MAX_VALUE_BYTES = MAX_FOLLOWING_BYTES
"""The longest value of a record that a consumer takes."""

REASON_BYTES = 2_000
"""So much of the cause is kept with a dead letter."""

MAX_MESSAGE_BYTES = MAX_VALUE_BYTES + MAX_KEY_BYTES + 2 * MAX_HEADER_BYTES + 64_936
"""The longest message that our topics take, a letter with its own headers included."""

CUT_BYTES = 100_000
"""So much of its content is kept of a record that no letter could hold whole."""

MAX_POSITION = 10**12
"""No log is that long: a thousand events a second for thirty years.  What claims to stand beyond it is forged."""
