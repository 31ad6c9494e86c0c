"""What the metrics cost.

    python bench/metrics/run.py [--size 640x480] [--repeat 7] [--device cuda]

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from drfuse_cli.colour import luma8
from drfuse_cli.metrics import METRICS, Sources, score, score_against
from drfuse_cli.scenes import render


@dataclass(frozen=True)
class Times:
    """Milliseconds, the least of several runs: of processor time, but for `clock`.

    On a device all are on the clock.
    """

    alone: dict[str, float]
    together: float
    next_fused: float
    """All metrics of another fused image of the same sources."""
    clock: dict[int, float]
    """All metrics on the clock, by the number of threads."""


def measure(width: int, height: int, repeat: int, device: str | None = None) -> Times:
    """Time every metric on a rendered pair and the average of its sources."""
    clock = time.process_time if device is None else time.perf_counter
    cv2.setNumThreads(1)
    a, b = (luma8(image) for image in render("street-day", width, height))
    f = ((a.astype(np.uint16) + b + 1) // 2).astype(np.uint8)
    score(a, b, f, device=device)  # filters are made once a size
    alone = {
        name: least(
            lambda name=name: score(a, b, f, [name], device=device),  # type: ignore[misc]
            repeat,
            clock,
        )
        for name in METRICS
    }
    sources = Sources.of(a, b, device)
    score_against(sources, a)
    return Times(
        alone,
        least(lambda: score(a, b, f, device=device), repeat, clock),
        least(lambda: score_against(sources, f), repeat, clock),
        {
            threads: least(
                lambda threads=threads: score_against(  # type: ignore[misc]
                    Sources.of(a, b, device), f, threads=threads
                ),
                repeat,
                time.perf_counter,
            )
            for threads in (1, 2)
        },
    )


def least(call: Callable[[], Any], repeat: int, clock: Callable[[], float]) -> float:
    """The shortest of several calls, in milliseconds."""
    times = []
    for _ in range(repeat):
        start = clock()
        call()
        times.append(clock() - start)
    return 1000 * min(times)


def time_table(times: Times) -> str:
    """A line for each metric, then all of them together."""
    lines = ["| metric | ms |", "|---|---:|"]
    lines += [f"| {name} | {value:.1f} |" for name, value in times.alone.items()]
    lines += [
        f"| sum of the above | {sum(times.alone.values()):.0f} |",
        f"| **all in one call** | {times.together:.0f} |",
        f"| all of the next fused image of the same sources | {times.next_fused:.0f} |",
    ]
    for threads, value in times.clock.items():
        label = f"{threads} thread{'s' if threads > 1 else ''}"
        lines.append(f"| all in one call, {label}, on the clock | {value:.0f} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="640x480", help="of the rendered pair")
    parser.add_argument("--repeat", type=int, default=7, help="runs, of which the least counts")
    parser.add_argument("--device", help="torch device to compute on; numpy where none is named")
    chosen = parser.parse_args(arguments)
    width, height = map(int, chosen.size.split("x"))
    print(time_table(measure(width, height, chosen.repeat, chosen.device)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
