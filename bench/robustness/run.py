"""How quality falls with degradations inside and beyond the training range, and with wrong flags.

    python bench/robustness/run.py --data DIR --task ivif --json robustness.json

README.md beside this file says what is measured; plot.py draws what ``--json`` wrote.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from middle import Middle, spread_out

from drfuse_cli.colour import luma8
from drfuse_cli.config import Degradation, FuseOptions, Task
from drfuse_cli.degradations import Overrides, assume
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.baselines import RESTORERS
from drfuse_cli.evaluation.cases import Case, CleanPair, clean_pairs, make_case, size_of
from drfuse_cli.evaluation.pool import processors, spread
from drfuse_cli.evaluation.run import Fuse
from drfuse_cli.imageio import Image
from drfuse_cli.metrics import psnr, score

METRICS = ("Q_MI", "Q_G", "Q_W")
STAGES = ("degraded", "lift", "drfuse")
TRAINED = {"noise": 25, "blur": 3, "scale": 4}
"""The largest values that training draws."""
MOST = 60.0
"""PSNR in dB from which on pictures count as equal: rounding to 8 bits alone leaves 59."""


@dataclass(frozen=True)
class Cell:
    """One setting: what was done to both sources, and what the flags say was done.

    ``capped``: with ``--cap-blur`` beside them.
    """

    part: str
    true: Degradation
    told: Degradation
    capped: bool = False

    @property
    def label(self) -> dict[str, Any]:
        """Where the cell stands in its table."""
        label: dict[str, Any] = {"part": self.part, "capped": self.capped}
        for kind, d in (("true", self.true), ("told", self.told)):
            motion = 0 if d.psf is None else len(d.psf)
            label[kind] = {
                "noise": d.noise_std, "blur": d.blur_sigma, "scale": d.sr_scale, "motion": motion
            }  # fmt: skip
        return label


def motion(length: int) -> np.ndarray:
    """The point-spread function of a shake of `length` pixels along the diagonal."""
    return np.eye(length) / length


def told_right(part: str, settings: Iterable[Degradation]) -> Iterator[Cell]:
    return (Cell(part, setting, setting) for setting in settings)


def grid() -> Iterator[Cell]:
    """Noise as it stands in the file, blur and scale, alike in both sources."""
    noises, blurs, scales = (0, 8, 25, 50), (0, 1, 2, 3, 5), (1, 2, 4, 8)
    settings = itertools.starmap(Degradation, itertools.product(noises, blurs, scales))
    yield from told_right("grid", (setting for setting in settings if not setting.is_clean))


def shakes() -> Iterator[Cell]:
    lengths, noises = (5, 9, 13, 17, 25), (1, 8)
    for length, noise in itertools.product(lengths, noises):
        shake = Degradation(noise, psf=motion(length), psf_name="motion")
        yield from told_right("motion", [shake])


def wrong_flags() -> Iterator[Cell]:
    """A blur of 2 or a noise of 8 or 12 is said, and something else is true.

    A noise of 2 that is not there is said too, as who doubts the blur might, or the blur is capped.
    """
    for noise, sigma in itertools.product((0, 4), (1, 1.25, 1.5, 1.75, 1.9, 2, 2.1, 2.25, 2.5, 3)):
        true = Degradation(noise, sigma)
        yield Cell("sigma", true, true)
        yield Cell("sigma", true, Degradation(noise, 2))
        yield Cell("sigma", true, Degradation(noise, 2), capped=True)
        yield Cell("sigma", true, true, capped=True)
        if noise == 0:
            yield Cell("sigma", true, Degradation(2, 2))
    for sigma, noise in itertools.product((0, 1.5), (0, 4, 6, 8, 10, 12, 16, 20)):
        true = Degradation(noise, sigma)
        yield from (Cell("noise", true, Degradation(said, sigma)) for said in (8, 12))
        if not true.is_clean:
            yield Cell("noise", true, true)


PARTS: dict[str, Callable[[], Iterator[Cell]]] = {
    "grid": grid,
    "motion": shakes,
    "flags": wrong_flags,
}


def measure(cell: Cell, pair: CleanPair, seed: int, fuse: Fuse) -> dict[str, float]:
    """Luma PSNR of both sources at every stage, and the metrics of the fused image."""
    case = make_case(pair, (cell.true, cell.true), seed)
    told = _capped(cell.told, case) if cell.capped else (cell.told, cell.told)
    result = fuse(*case.degraded, told)
    pictures: dict[str, Iterable[Image]] = {"drfuse": result.sources}
    # As the file is: the flags play no part in it but for the size.
    for stage, what in (("degraded", cell.true), ("lift", cell.told)):
        size = size_of(case.clean[0])
        pictures[stage] = [RESTORERS[stage](image, what, size) for image in case.degraded]
    clean = [luma8(image) for image in case.clean]
    found = {}
    for stage in STAGES:
        for number, image in enumerate(pictures[stage], 1):
            found[f"{stage}{number}"] = min(psnr(luma8(image), clean[number - 1]), MOST)
    scores = score(clean[0], clean[1], luma8(result.fused), METRICS)
    return found | {name: scores[name].value or math.nan for name in METRICS}


def _capped(said: Degradation, case: Case) -> tuple[Degradation, Degradation]:
    """What ``--cap-blur`` makes of the flags; without a preset the task does not matter."""
    flags = Overrides(
        noise_std=(said.noise_std, said.noise_std),
        blur_sigma=(said.blur_sigma, said.blur_sigma),
        cap_blur=True,
    )
    return assume("ivif", "none", flags, case.degraded)


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}


# ---- what it comes to -------------------------------------------------------------------------

Found = list[dict[str, Any]]


def inside(row: dict[str, Any]) -> bool:
    """Within what training draws."""
    return not row["true"]["motion"] and all(row["true"][k] <= most for k, most in TRAINED.items())


def verdict(found: Found) -> str:
    """Where the flags were right: how often drfuse is behind its input or its start."""
    right = [row for row in found if row["true"] == row["told"] and not row["capped"]]
    lines = [f"{len(found)} settings, {len(right)} told rightly"]
    for stage in ("degraded", "lift"):
        gains = [
            (row["mean"][f"drfuse{i}"] - row["mean"][f"{stage}{i}"], f"source {i}, {name_of(row)}")
            for row in right
            for i in (1, 2)
        ]
        if not gains:
            continue
        behind = [gain for gain, _ in gains if gain < 0]
        worst, where = min(gains)
        lines.append(
            f"restored against {stage}: mean {np.mean([g for g, _ in gains]):+.2f} dB, "
            f"behind in {len(behind)} of {len(gains)}, worst {worst:+.2f} dB ({where})"
        )
    return "\n".join(lines)


def steepest(found: Found) -> str:
    """The largest fall of a restored source from one setting of the grid to the next."""
    cells = {tuple(row["true"].values())[:3]: row for row in found if row["part"] == "grid"}
    falls = []
    for axis, name in enumerate(("noise", "blur", "scale")):
        values = sorted({key[axis] for key in cells})
        for low, high in itertools.pairwise(values):
            for key in (key for key in cells if key[axis] == low):
                after = cells.get((*key[:axis], high, *key[axis + 1 :]))
                if after is not None:
                    falls += [
                        (cells[key]["mean"][f"drfuse{i}"] - after["mean"][f"drfuse{i}"],
                         f"source {i}, {name} {low:g} to {high:g} from {name_of(cells[key])}")
                        for i in (1, 2)
                    ]  # fmt: skip
    if not falls:
        return ""
    fall, where = max(falls)
    return f"steepest fall: {fall:.2f} dB ({where})"


def name_of(row: dict[str, Any]) -> str:
    true = row["true"]
    shake = f", motion {true['motion']}" if true["motion"] else ""
    return f"noise {true['noise']:g}, blur {true['blur']:g}, scale {true['scale']}{shake}"


# ---- telling ----------------------------------------------------------------------------------


def table(found: Found) -> Iterator[str]:
    """Markdown: the grid without its columns of degraded sources, then the rest."""
    heads = [f"{stage} {i}" for i in (1, 2) for stage in STAGES]
    for part in dict.fromkeys(row["part"] for row in found):
        yield f"\n| {part}: true | said | {' | '.join((*heads, *METRICS))} |"
        yield "|---" * (2 + len(heads) + len(METRICS)) + "|"
        for row in (row for row in found if row["part"] == part):
            mean, said = row["mean"], name_of({"true": row["told"]})
            values = [f"{mean[f'{stage}{i}']:.2f}" for i in (1, 2) for stage in STAGES]
            values += [f"{mean[name]:.3f}" for name in METRICS]
            said = "so" if row["true"] == row["told"] else said
            said += ", capped" * row["capped"]
            yield f"| {name_of(row)} | {said} | {' | '.join(values)} |"


# ---- running ----------------------------------------------------------------------------------


def run(options: argparse.Namespace, work: Callable[[Cell], dict[str, float]]) -> Found:
    """Every cell of the parts asked for; ``work`` gives the means of one."""
    every = (cell for part in options.parts.split(",") for cell in PARTS[part]())
    cells = list(dict.fromkeys(every))
    found: Found = []
    for mean in spread(work, cells, options.workers):
        found.append(mean)
        print(f"\r{len(found)}/{len(cells)}", end="", file=sys.stderr, flush=True)
    print("\r\033[K", end="", file=sys.stderr)
    order = [cell.label for cell in cells]
    return sorted(found, key=lambda row: order.index({k: row[k] for k in order[0]}))


def one_cell(
    pairs: list[Middle], seed: int, task: Task, weights: str | None, cell: Cell
) -> dict[str, Any]:
    fuse = _engine(task, weights)
    return cell.label | {"mean": mean_of([measure(cell, pair, seed, fuse) for pair in pairs])}


_ENGINES: dict[tuple[Task, str | None], Fuse] = {}


def _engine(task: Task, weights: str | None) -> Fuse:
    """The engine of this process, loaded once."""
    if (task, weights) not in _ENGINES:
        from drfuse_cli.engine import Engine
        from drfuse_cli.weights import load_weights

        options = FuseOptions(task=task, weights=weights)
        _ENGINES[task, weights] = Engine(load_weights(weights, task), options).fuse
    return _ENGINES[task, weights]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="clean pairs, a folder a source")
    parser.add_argument("--task", choices=get_args(Task), default="ivif")
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated")
    parser.add_argument("--weights", help="name, file or hub address; default: the task's own")
    parser.add_argument("--limit", type=int, default=4, help="pairs, evenly apart")
    parser.add_argument("--edge", type=int, default=256, help="pixels of the middle that count")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--workers", type=int, default=processors())
    parser.add_argument("--json", type=Path, help="write every number here")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse_arguments()
    pairs = spread_out(clean_pairs(options.data, options.task), options.limit, options.edge)
    found = run(options, partial(one_cell, pairs, options.seed, options.task, options.weights))
    print(*table(found), "", sep="\n")
    within = [row for row in found if inside(row)]
    for title, some in (("everywhere", found), ("inside the training range", within)):
        print(f"{title}: {verdict(some)}", steepest(some), sep="\n")
    if options.json:
        names = [pair.name for pair in pairs]
        document = {"task": options.task, "roles": pairs[0].roles, "pairs": names, "cells": found}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except DrfuseError as error:
        sys.exit(f"error: {error}")
