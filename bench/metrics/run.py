"""What the metrics cost, and how close they are to the reference values.

    python bench/metrics/run.py [--golden DIR]

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from drfuse_cli.colour import luma8
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import read_image
from drfuse_cli.metrics import METRICS, Sources, score, score_against
from drfuse_cli.scenes import render

# ---- time -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Times:
    """Milliseconds of processor time, the least of several runs."""

    alone: dict[str, float]
    together: float
    next_fused: float
    """All metrics of another fused image of the same sources."""
    wall: float
    """Milliseconds on the clock for all together."""


def measure(width: int, height: int, repeat: int) -> Times:
    """Time every metric on a rendered pair and the average of its sources."""
    cv2.setNumThreads(1)
    a, b = (luma8(image) for image in render("street-day", width, height))
    f = ((a.astype(np.uint16) + b + 1) // 2).astype(np.uint8)
    score(a, b, f)  # filters are made once a size
    alone = {
        name: least(lambda name=name: score(a, b, f, [name]), repeat)  # type: ignore[misc]
        for name in METRICS
    }
    sources = Sources.of(a, b)
    score_against(sources, a)
    return Times(
        alone,
        least(lambda: score(a, b, f), repeat),
        least(lambda: score_against(sources, f), repeat),
        least(lambda: score(a, b, f), repeat, time.perf_counter),
    )


def least(
    call: Callable[[], Any], repeat: int, clock: Callable[[], float] = time.process_time
) -> float:
    """The shortest of several calls, in milliseconds."""
    times = []
    for _ in range(repeat):
        start = clock()
        call()
        times.append(clock() - start)
    return 1000 * min(times)


def time_table(times: Times) -> str:
    lines = ["| metric | ms |", "|---|---:|"]
    lines += [f"| {name} | {value:.1f} |" for name, value in times.alone.items()]
    lines += [
        f"| sum of the above | {sum(times.alone.values()):.0f} |",
        f"| all in one call | {times.together:.0f} |",
        f"| all of the next fused image of the same sources | {times.next_fused:.0f} |",
        f"| all in one call, on the clock | {times.wall:.0f} |",
    ]
    return "\n".join(lines)


# ---- reference values -----------------------------------------------------------------------

KEYS = {"FMI": "FMI_pixel", "N_ABF": "N_abf"}


@dataclass
class Agreement:
    """How one metric compares with its reference values."""

    errors: dict[str, float] = field(default_factory=dict)
    """Relative error by case; absolute where the reference is 0."""
    loose: dict[str, float] = field(default_factory=dict)
    """The same for cases that the reference lists as ill-conditioned."""
    undefined: int = 0
    """Cases where neither has a value."""
    differing: list[str] = field(default_factory=list)
    """Cases where only one has a value."""


def compare(folder: Path) -> dict[str, Agreement]:
    """Score every case below `folder` and compare."""
    table = {name: Agreement() for name in METRICS}
    suites = sorted(folder.glob("*/golden.json"))
    if not suites:
        raise DrfuseError("no */golden.json in this folder", path=folder)
    for suite in suites:
        document = json.loads(suite.read_text())
        for case, expected in document["golden"].items():
            listed = document.get("ill_conditioned", {}).get(case, {})
            images = suite.parent / "images" / case
            a, b, f = (read_image(images / f"{x}.png").pixels for x in ("ir", "vi", "fused"))
            for name, value, reference in _values(a, b, f, expected):
                agreement = table[name]
                if value is None and reference is None:
                    agreement.undefined += 1
                elif value is None or reference is None:
                    agreement.differing.append(case)
                else:
                    # The loosely known values include all that MATLAB and Octave disagree on.
                    matlab = suite.parent.name == "matlab" and name in {"Q_E", "Q_Y"}
                    group = agreement.loose if KEYS.get(name, name) in listed or matlab else None
                    errors = agreement.errors if group is None else group
                    errors[case] = abs(value - reference) / (abs(reference) or 1)
    return table


def _values(
    a: np.ndarray, b: np.ndarray, f: np.ndarray, expected: dict[str, Any]
) -> Iterator[tuple[str, float | None, float | None]]:
    for name, result in score(a, b, f).items():
        key = KEYS.get(name, name)
        if key in expected:
            reference = expected[key]
            yield name, result.value, reference if isinstance(reference, float) else None


def golden_table(table: dict[str, Agreement]) -> str:
    lines = [
        "| metric | cases | largest relative error | loosely known | largest error there "
        "| both undefined | one undefined |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, agreement in table.items():
        cells = [
            name,
            str(len(agreement.errors)),
            _largest(agreement.errors),
            str(len(agreement.loose) or ""),
            _largest(agreement.loose),
            str(agreement.undefined or ""),
            ", ".join(agreement.differing),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _largest(errors: dict[str, float]) -> str:
    return f"{max(errors.values()):.1e}" if errors else ""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--golden", type=Path, help="folder of reference values and their images")
    parser.add_argument("--size", default="640x480", help="of the rendered pair")
    parser.add_argument("--repeat", type=int, default=7, help="runs, of which the least counts")
    chosen = parser.parse_args(arguments)
    if chosen.golden is not None:
        print(golden_table(compare(chosen.golden)))
        return 0
    width, height = map(int, chosen.size.split("x"))
    print(time_table(measure(width, height, chosen.repeat)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
