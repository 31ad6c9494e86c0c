"""``summary.json``: how a run ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drfuse_cli.imageio import write_bytes

SCHEMA = "drfuse.batch/1"


@dataclass(frozen=True)
class Failure:
    """A pair that failed, and why."""

    name: str
    error: str


@dataclass(frozen=True)
class Summary:
    """Pairs in all, done (now or by the run that was resumed), failed, and skipped.

    What these leave out of ``pairs`` was not reached. ``fused`` counts those done now, in
    ``seconds``.
    """

    pairs: int
    done: int
    failures: tuple[Failure, ...]
    skipped: int
    seconds: float
    fused: int
    shard: str | None = None

    @property
    def rate(self) -> float:
        """Pairs fused in a second."""
        return self.fused / self.seconds if self.seconds > 0 else 0.0

    def document(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "schema": SCHEMA,
            "pairs": self.pairs,
            "done": self.done,
            "failed": len(self.failures),
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
            "pairs_per_second": round(self.rate, 4),
            **({"shard": self.shard} if self.shard else {}),
            "failures": [{"name": one.name, "error": one.error} for one in self.failures],
        }


def write_summary(path: Path, summary: Summary) -> None:
    write_bytes(path, json.dumps(summary.document(), indent=2).encode() + b"\n")


def read_seconds(path: Path) -> float:
    """The seconds of a summary; none where there is no such file."""
    try:
        return float(json.loads(path.read_bytes())["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
