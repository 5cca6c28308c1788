"""What holds for every test."""

from __future__ import annotations

import os

# A Kafka of a test lives for some minutes: what Java's optimising compiler costs, half of a start, never comes back.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
