"""How long the parts of a command took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds spent in the parts of a run."""

    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("load", "read", "fuse", "write"), 0.0)
    )

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - started
