"""On the path of a process, it makes all its Python code see a clock that is off by CLOCK_OFFSET_SECONDS.

Its monotonic clock stays right, and so does what libraries in C ask the system: librdkafka's waits would never end.
"""

import os
from datetime import UTC, datetime, timedelta

import time_machine

time_machine.travel(datetime.now(UTC) + timedelta(seconds=float(os.environ["CLOCK_OFFSET_SECONDS"])), tick=True).start()
