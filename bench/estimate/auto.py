"""What `--degrade auto` loses against flags that are exactly right.

    python bench/estimate/auto.py --data DIR --task ivif [--limit N] [--presets none,noise]

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from drfuse_cli.colour import luma8
from drfuse_cli.config import PRESET_NAMES, TASKS, FuseOptions, PresetName, Task, preset
from drfuse_cli.degradations import Overrides, assume, describe
from drfuse_cli.engine import Engine
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.cases import Case, Degradations, clean_pairs, make_case
from drfuse_cli.metrics import Sources, psnr, score_against
from drfuse_cli.weights import load_weights

SEED = 2026
METRICS = ("Q_G", "Q_W")
NO_DIFFERENCE = 60.0
"""PSNR in dB that stands for equal images, too."""


@dataclass(frozen=True)
class Outcome:
    """One pair fused under one assumption."""

    scores: dict[str, float | None]
    psnr: tuple[float, float]
    assumed: tuple[str, str]


@dataclass(frozen=True)
class Row:
    preset: str
    name: str
    exact: Outcome
    auto: Outcome


def rows(engine: Engine, data: Path, task: Task, names: list[PresetName], limit: int | None
         ) -> Iterator[Row]:  # fmt: skip
    for name in names:
        for pair in clean_pairs(data, task)[:limit]:
            case = make_case(pair, preset(task, name), SEED)
            taken = assume(task, "auto", Overrides(), case.degraded)
            yield Row(
                name, pair.name, fused(engine, case, case.degradations), fused(engine, case, taken)
            )


def fused(engine: Engine, case: Case, assumed: Degradations) -> Outcome:
    result = engine.fuse(*case.degraded, assumed)
    clean = [luma8(image) for image in case.clean]
    scores = score_against(Sources.of(*clean), luma8(result.fused), METRICS)
    first, second = (
        min(psnr(luma8(image), plane), NO_DIFFERENCE)
        for image, plane in zip(result.sources, clean, strict=True)
    )
    told = describe(assumed[0]), describe(assumed[1])
    return Outcome({name: score.value for name, score in scores.items()}, (first, second), told)


# ---- telling ----------------------------------------------------------------------------------


def table(found: list[Row]) -> Iterator[str]:
    """Markdown: means over the pairs of a preset, and how they change."""
    columns = [*METRICS, "PSNR 1, dB", "PSNR 2, dB"]
    yield f"| preset | pairs | {' | '.join(f'{name}: exact | auto' for name in columns)} |"
    yield f"|---|---|{'---|' * 2 * len(columns)}"
    for name in dict.fromkeys(row.preset for row in found):
        group = [row for row in found if row.preset == name]
        cells = [str(len(group))]
        for column in columns:
            exact, auto = (
                mean([value(outcome, column) for outcome in outcomes])
                for outcomes in ([row.exact for row in group], [row.auto for row in group])
            )
            digits = 4 if column in METRICS else 2
            cells += [f"{exact:.{digits}f}", f"{auto:.{digits}f}"]
        yield f"| {'clean' if name == 'none' else name} | {' | '.join(cells)} |"


def value(outcome: Outcome, column: str) -> float | None:
    if column in METRICS:
        return outcome.scores[column]
    return outcome.psnr["PSNR 2" in column]


def mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return fmean(known) if known else math.nan


def document(row: Row) -> dict[str, Any]:
    def side(outcome: Outcome) -> dict[str, Any]:
        return {**outcome.scores, "psnr": outcome.psnr, "assumed": outcome.assumed}

    return {
        "preset": row.preset, "name": row.name, "exact": side(row.exact), "auto": side(row.auto)
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="clean pairs, a folder a source")
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--weights", help="name, file or hub address; default: the task's own")
    parser.add_argument("--presets", default=",".join(PRESET_NAMES), help="separated by commas")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N pairs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every number")
    options = parser.parse_args()
    names = options.presets.split(",")
    unknown = set(names) - set(PRESET_NAMES)
    if unknown:
        raise DrfuseError(f"unknown presets: {', '.join(sorted(unknown))}")
    weights = load_weights(options.weights, options.task)
    engine = Engine(weights, FuseOptions(task=options.task, weights=options.weights))
    found = []
    for row in rows(engine, options.data, options.task, names, options.limit):
        print(f"{row.preset} {row.name}: {'; '.join(row.auto.assumed)}", file=sys.stderr)
        found.append(row)
    print("\n".join(table(found)))
    if options.json is not None:
        options.json.write_text(json.dumps([document(row) for row in found], indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except DrfuseError as error:
        sys.exit(f"error: {error}")
