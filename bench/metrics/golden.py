"""How close the metrics are to values that their reference implementations printed.

    python bench/metrics/golden.py DIR [--device cuda]

README.md beside this file says what DIR holds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drfuse_cli.imageio import read_image
from drfuse_cli.metrics import METRICS, score

KEYS = {"FMI": "FMI_pixel", "N_ABF": "N_abf"}
"""Names in the files where they are not the metric's own."""

# What MATLAB and Octave disagree by, as the note beside MATLAB's values says.
_MATLAB = {"Q_E": 3.3e-5, "Q_Y": 2e-5}


@dataclass(frozen=True)
class Reference:
    """A value, or ``None`` where the reference has none, and how loosely it is known.

    ``deviation`` is how far another implementation was from it; 0 where it is exact.
    """

    value: float | None
    deviation: float = 0.0


@dataclass(frozen=True)
class Case:
    """Two sources and a fused image below `folder`, with a reference for some metrics."""

    suite: str
    name: str
    folder: Path
    references: dict[str, Reference]

    def pictures(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A, B and F, each H x W uint8."""
        a, b, f = (read_image(self.folder / f"{x}.png").pixels for x in ("ir", "vi", "fused"))
        return a, b, f


@dataclass(frozen=True)
class Comparison:
    """A reference and what is computed here."""

    case: str
    metric: str
    reference: Reference
    value: float | None

    @property
    def error(self) -> float | None:
        """Relative error, absolute where the reference is 0; ``None`` where a value is missing."""
        if self.value is None or self.reference.value is None:
            return None
        return abs(self.value - self.reference.value) / (abs(self.reference.value) or 1)


def read_cases(folder: Path) -> list[Case]:
    """Every case of every ``SUITE/golden.json`` below `folder`; none where there is none."""
    cases = []
    for path in sorted(folder.glob("*/golden.json")):
        document = json.loads(path.read_text())
        known = _MATLAB if path.parent.name == "matlab" else {}
        for name, values in document["golden"].items():
            listed = known | document.get("ill_conditioned", {}).get(name, {})
            references = {
                metric: _reference(values[key], listed.get(key))
                for metric, key in ((metric, KEYS.get(metric, metric)) for metric in METRICS)
                if key in values
            }
            images = path.parent / "images" / name
            cases.append(Case(path.parent.name, name, images, references))
    return cases


def _reference(value: object, deviation: object) -> Reference:
    # "nan" and "inf" are text in the files, and so may be the note on a deviation.
    return Reference(
        value if isinstance(value, float) else None,
        deviation if isinstance(deviation, float) else 0.0,
    )


def compare(cases: Iterable[Case], device: str | None = None) -> list[Comparison]:
    """Score every case by every metric that it has a reference for, by numpy or on a device."""
    return [
        Comparison(case.name, name, case.references[name], result.value)
        for case in cases
        for name, result in score(*case.pictures(), list(case.references), device=device).items()
    ]


def agreement_table(comparisons: Iterable[Comparison]) -> str:
    """Metric by metric: cases, the largest relative error, where one has no value."""
    lines = [
        "| metric | cases | largest relative error | neither has a value | only one has a value |",
        "|---|---:|---:|---:|---|",
    ]
    found = list(comparisons)
    for name in METRICS:
        here = [c for c in found if c.metric == name and not c.reference.deviation]
        errors = [c.error for c in here if c.error is not None]
        neither = [c for c in here if c.value is None and c.reference.value is None]
        missing = [c.case for c in here if (c.value is None) != (c.reference.value is None)]
        largest = f"{max(errors):.1e}" if errors else ""
        cells = [name, str(len(errors)), largest, str(len(neither) or ""), ", ".join(missing)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def loose_table(comparisons: Iterable[Comparison]) -> str:
    """The values that the reference itself holds only loosely, one by one."""
    lines = [
        "| case | metric | reference | here | difference | another implementation's |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for c in comparisons:
        if c.reference.deviation and c.value is not None and c.reference.value is not None:
            values = f"{c.reference.value:.7g} | {c.value:.7g}"
            difference = abs(c.value - c.reference.value)
            lines.append(
                f"| {c.case} | {c.metric} | {values} | {difference:.1e} | "
                f"{c.reference.deviation:.1e} |"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--device", help="torch device to compute on; numpy where none is named")
    chosen = parser.parse_args(arguments)
    cases = read_cases(chosen.folder)
    if not cases:
        sys.exit(f"{chosen.folder}: there is no SUITE/golden.json in this folder")
    found = compare(cases, chosen.device)
    print(f"{agreement_table(found)}\n\nLoosely known:\n\n{loose_table(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
