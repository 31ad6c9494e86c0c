"""Degrade clean pairs, fuse them with drfuse, and score the result against the clean sources.

    python bench/quality/run.py --data DIR --task ivif --presets noise,blur,composite

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import cv2
import numpy as np

from drfuse_cli.colour import luma8
from drfuse_cli.config import PRESET_NAMES, Correction, Degradation, FuseOptions, Pair, Task, preset
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, read_image, write_image
from drfuse_cli.metrics import DRFUSION_TABLE, psnr, score
from drfuse_cli.operators.simulate import degrade_image, generator
from drfuse_cli.pairs import find_pairs, role_folders

if TYPE_CHECKING:
    from drfuse_cli.engine import FuseResult

Degradations = tuple[Degradation, Degradation]
Fuse = Callable[[Image, Image, Degradations], "FuseResult"]
Lift = Callable[[Image, Degradation, tuple[int, int]], Image]
Row = dict[str, Any]

STAGES = ("degraded", "lift", "restored")
PEER_SEED = 2026


def diagonal_motion(length: int) -> np.ndarray:
    """The point-spread function of a shake of `length` pixels along the diagonal."""
    return np.eye(length) / length


# What no published preset holds, to see how far one set of weights reaches.
UNSEEN: dict[str, Degradations] = {
    "sigma1.3": (Degradation(blur_sigma=1.3), Degradation(blur_sigma=1.3)),
    "sigma3": (Degradation(blur_sigma=3.0), Degradation(blur_sigma=3.0)),
    "std20": (Degradation(noise_std=20.0), Degradation(noise_std=20.0)),
    "scale3": (Degradation(noise_std=2.0, sr_scale=3), Degradation()),
    "motion": (
        Degradation(psf=diagonal_motion(9), psf_name="motion", noise_std=1.0),
        Degradation(psf=diagonal_motion(9), psf_name="motion", noise_std=1.0),
    ),
    "unequal": (
        Degradation(noise_std=3.0, blur_sigma=1.0, sr_scale=2),
        Degradation(noise_std=10.0, blur_sigma=2.5),
    ),
}


@dataclass(frozen=True)
class Case:
    """A clean pair, cropped to what the scales divide, and its degraded copy."""

    name: str
    clean: tuple[Image, Image]
    degraded: tuple[Image, Image]
    degradations: Degradations


def degradations_of(task: Task, name: str) -> Degradations:
    """The degradations of a preset, or of a setting in `UNSEEN`."""
    for known in PRESET_NAMES:
        if name == known:
            return preset(task, known)
    if name in UNSEEN:
        return UNSEEN[name]
    choices = ", ".join((*PRESET_NAMES, *UNSEEN, "unseen"))
    raise DrfuseError(f"unknown preset {name!r}", hint=f"choose from {choices}")


def make_case(pair: Pair, roles: tuple[str, str], degradations: Degradations, seed: int) -> Case:
    """Crop a clean pair to a multiple of the largest scale and degrade it, seeded by name."""
    first, second = read_image(pair.source1), read_image(pair.source2)
    if (first.height, first.width) != (second.height, second.width):
        raise DrfuseError("the two clean sources differ in size", path=pair.source1)
    step = max(degradation.sr_scale for degradation in degradations)
    height, width = first.height // step * step, first.width // step * step
    clean = (_crop(first, height, width), _crop(second, height, width))
    degraded = [
        degrade_image(image, degradation, generator(seed, pair.name, role))
        for image, degradation, role in zip(clean, degradations, roles, strict=True)
    ]
    return Case(pair.name, clean, (degraded[0], degraded[1]), degradations)


def _crop(image: Image, height: int, width: int) -> Image:
    return replace(image, pixels=image.pixels[:height, :width])


def enlarge(image: Image, height: int, width: int) -> Image:
    """Bicubic enlargement, for images smaller than the scene."""
    if (image.height, image.width) == (height, width):
        return image
    pixels = cv2.resize(image.pixels, (width, height), interpolation=cv2.INTER_CUBIC)
    return Image(np.asarray(pixels))


def score_case(case: Case, result: FuseResult, lift: Lift) -> Row:
    """The six columns of the fused image, and the luma PSNR of both sources at every stage."""
    clean = [luma8(image) for image in case.clean]
    height, width = clean[0].shape
    scores = score(clean[0], clean[1], luma8(result.fused), DRFUSION_TABLE)
    row: Row = {"name": case.name, "seconds": result.seconds}
    row |= {name: entry.value for name, entry in scores.items()}
    for i in range(2):
        stages = (
            enlarge(case.degraded[i], height, width),
            lift(case.degraded[i], case.degradations[i], (height, width)),
            result.sources[i],
        )
        for stage, image in zip(STAGES, stages, strict=True):
            value = psnr(luma8(image), clean[i])
            row[f"{stage}{i + 1}"] = value if math.isfinite(value) else None
    return row


def evaluate(
    pairs: Iterable[Pair],
    roles: tuple[str, str],
    degradations: Degradations,
    seed: int,
    fuse: Fuse,
    lift: Lift,
    out: Path | None = None,
) -> Iterator[Row]:
    """One row of scores for every pair; images go under `out` where it is given."""
    for pair in pairs:
        case = make_case(pair, roles, degradations, seed)
        result = fuse(*case.degraded, degradations)
        if out is not None:
            for folder, image in zip(
                ("fused", "source1", "source2"), (result.fused, *result.sources), strict=True
            ):
                path = out / folder / f"{pair.name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, image)
        yield score_case(case, result, lift)


def means(rows: list[Row]) -> dict[str, float]:
    """The mean of every number over the rows that have it (undefined scores are left out)."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for key, value in row.items():
            if key != "name" and value is not None:
                values[key].append(float(value))
    return {key: float(np.mean(column)) for key, column in values.items()}


def best_peers(folder: Path, task: str, name: str, rows: list[Row]) -> dict[str, tuple[float, str]]:
    """By column: the best mean of any restore-then-fuse method on the same pairs, and whose."""
    scored = {row["name"] for row in rows}
    by_method: dict[str, list[Row]] = defaultdict(list)
    for line in _read_csv(folder / f"scores_{task}_pairs.csv"):
        if (line["preset"], line["restoration"]) == (name, "restored") and line["name"] in scored:
            columns = {column: float(line[column]) for column in DRFUSION_TABLE}
            by_method[line["method"]].append({"name": line["name"], **columns})
    complete = {m: means(group) for m, group in by_method.items() if len(group) == len(scored)}
    return {
        column: max((mean[column], method) for method, mean in complete.items())
        for column in DRFUSION_TABLE
        if complete
    }


def peer_restoration(
    folder: Path, task: str, name: str, roles: tuple[str, str], rows: list[Row]
) -> tuple[float | None, float | None]:
    """Mean luma PSNR of both sources after the peers' restoration, on the same pairs."""
    scored = {row["name"] for row in rows}
    values: dict[str, list[float]] = defaultdict(list)
    for line in _read_csv(folder / "restoration_psnr_pairs.csv"):
        if (line["task"], line["preset"]) == (task, name) and line["name"] in scored:
            values[line["source"]].append(float(line["restored_luma_psnr"]))
    first, second = (
        float(np.mean(values[role])) if len(values[role]) == len(scored) else None for role in roles
    )
    return first, second


def _read_csv(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def table(
    title: str, roles: tuple[str, str], rows: list[Row], peers: Path | None, task: str, name: str
) -> str:
    """What a preset came to, as text: the six columns, then the restored sources."""
    mean = means(rows)
    best = best_peers(peers, task, name, rows) if peers else {}
    lines = [f"{title} (n = {len(rows)}, {mean['seconds']:.2f} s a pair)"]
    lines.append(_line("fused", DRFUSION_TABLE))
    lines.append(_line("drfuse", (_number(mean.get(c), 4) for c in DRFUSION_TABLE)))
    if best:
        lines.append(_line("best peer", (_number(best[c][0], 4) for c in DRFUSION_TABLE)))
        lines.append(_line("", (best[c][1] for c in DRFUSION_TABLE)))
        gains = {c: mean[c] - best[c][0] for c in DRFUSION_TABLE if c in mean}
        lines.append(
            _line("difference", (f"{gains[c]:+.4f}" if c in gains else "-" for c in DRFUSION_TABLE))
        )
    chain = peer_restoration(peers, task, name, roles, rows) if peers else (None, None)
    lines.append(_line("luma PSNR, dB", (*STAGES, "peers")))
    for i, role in enumerate(roles):
        values = [_number(mean.get(f"{stage}{i + 1}"), 2) for stage in STAGES]
        lines.append(_line(role, (*values, _number(chain[i], 2))))
    return "\n".join(lines)


def _line(label: str, cells: Iterable[str]) -> str:
    return f"  {label:<14}" + "".join(f"{cell:>11}" for cell in cells)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line of the benchmark."""
    parser = argparse.ArgumentParser(description="Quality of drfuse on clean pairs it degrades.")
    parser.add_argument("--data", type=Path, required=True, help="clean pairs, a folder a source")
    parser.add_argument("--task", choices=get_args(Task), required=True)
    parser.add_argument(
        "--presets",
        default="noise,blur,composite",
        help="comma-separated; 'unseen' stands for " + ", ".join(UNSEEN),
    )
    parser.add_argument("--weights", help="name, file or hub address; default: the task's own")
    parser.add_argument("--steps", type=int, default=FuseOptions.steps)
    parser.add_argument("--correction", choices=get_args(Correction), default="joint")
    parser.add_argument("--limit", type=int, help="only the first pairs")
    parser.add_argument("--seed", type=int, default=PEER_SEED)
    parser.add_argument("--peers", type=Path, help="folder with scores_*_pairs.csv to stand beside")
    parser.add_argument("--out", type=Path, help="write fused and restored images here")
    parser.add_argument("--json", type=Path, help="write every number here")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, fuse: Fuse, lift: Lift) -> dict[str, list[Row]]:
    """Print a table for every preset; return its rows."""
    folders = role_folders(options.data, options.task)
    if folders is None:
        raise DrfuseError("no folder for each source", path=options.data)
    roles = (folders[0].name.lower(), folders[1].name.lower())
    pairs = find_pairs(options.data, options.task)[: options.limit]
    names = options.presets.replace("unseen", ",".join(UNSEEN)).split(",")
    settings = {name: degradations_of(options.task, name) for name in names}
    peers = options.peers
    if peers and options.seed != PEER_SEED:
        print(f"peers left out: their inputs were made with seed {PEER_SEED}", file=sys.stderr)
        peers = None
    results = {}
    for name, degradations in settings.items():
        out = options.out / name if options.out else None
        rows = []
        for row in evaluate(pairs, roles, degradations, options.seed, fuse, lift, out):
            rows.append(row)
            print(f"\r{name} {len(rows)}/{len(pairs)}", end="", file=sys.stderr, flush=True)
        print("\r\033[K", end="", file=sys.stderr)
        print(table(f"{options.task}, {name}", roles, rows, peers, options.task, name), "\n")
        results[name] = rows
    return results


def main() -> None:
    """Load drfuse, score every preset, write the JSON document."""
    from drfuse_cli.engine import Engine
    from drfuse_cli.restore import lift_image
    from drfuse_cli.weights import load_weights

    options = parse_arguments()
    weights = load_weights(options.weights, options.task)
    engine = Engine(
        weights,
        FuseOptions(
            task=options.task,
            weights=options.weights,
            steps=options.steps,
            correction=options.correction,
        ),
    )
    results = run(options, engine.fuse, lift_image)
    if options.json:
        document = {
            "task": options.task,
            "seed": options.seed,
            "steps": options.steps,
            "correction": options.correction,
            "weights": {"name": weights.name, "sha256": weights.sha256},
            "presets": {name: {"mean": means(r), "pairs": r} for name, r in results.items()},
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except DrfuseError as error:
        sys.exit(f"error: {error}")
