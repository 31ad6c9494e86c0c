"""Degrade clean pairs, fuse them with drfuse, and score the result against the clean sources.

    python bench/quality/run.py --data DIR --task ivif --presets noise,blur,composite

README.md beside this file says what is measured. `drfuse eval` does the work; this adds settings
that no preset holds, several presets in a row, and the standing among other methods.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from drfuse_cli.config import PRESET_NAMES, Correction, Degradation, FuseOptions, Task, preset
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.cases import CleanPair, Degradations, clean_pairs
from drfuse_cli.evaluation.jobs import Setting
from drfuse_cli.evaluation.pool import processors
from drfuse_cli.evaluation.results import Evaluation, mean
from drfuse_cli.evaluation.run import Fuse, Plan, evaluate
from drfuse_cli.metrics import DRFUSION_TABLE

Row = dict[str, Any]

# What the sources are compared with the clean ones as, and the name in the rows.
STAGES = {"degraded": "degraded", "lift": "lift", "drfusion": "restored"}
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


def degradations_of(task: Task, name: str) -> Degradations:
    """The degradations of a preset, or of a setting in `UNSEEN`."""
    for known in PRESET_NAMES:
        if name == known:
            return preset(task, known)
    if name in UNSEEN:
        return UNSEEN[name]
    choices = ", ".join((*PRESET_NAMES, *UNSEEN, "unseen"))
    raise DrfuseError(f"unknown preset {name!r}", hint=f"choose from {choices}")


def rows_of(evaluation: Evaluation) -> list[Row]:
    """For every pair the six columns, and the luma PSNR of both sources at every stage."""
    restored = {found.name: found.pairs for found in evaluation.restorations}
    rows = []
    for pair in evaluation.methods[0].pairs:
        row: Row = {"name": pair.name}
        row |= {column: pair.scores[column].value for column in DRFUSION_TABLE}
        for name, stage in STAGES.items():
            values = restored.get(name, {}).get(pair.name, (None, None))
            row |= {f"{stage}{source}": value for source, value in enumerate(values, 1)}
        rows.append(row)
    return rows


def means(rows: list[Row]) -> dict[str, float]:
    """The mean of every number over the rows that have it (undefined scores are left out)."""
    keys = dict.fromkeys(key for row in rows for key in row if key != "name")
    columns = {key: mean(row[key] for row in rows if row.get(key) is not None) for key in keys}
    return {key: value for key, value in columns.items() if value is not None}


# ---- other methods ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """A mean of drfuse beside the best other method, and its place among them all."""

    best: float
    whose: str
    gain: float
    place: int
    of: int


def standings(
    peers: Path, task: str, name: str, rows: list[Row], ours: Mapping[str, float]
) -> dict[str, Standing]:
    """By column: where drfuse stands among the restore-then-fuse methods on the same pairs."""
    found = peer_means(peers, task, name, rows)
    return {column: _standing(ours[column], found, column) for column in ours if found}


def _standing(ours: float, peers: dict[str, dict[str, float]], column: str) -> Standing:
    best, whose = max((mean[column], method) for method, mean in peers.items())
    ahead = sum(mean[column] > ours for mean in peers.values())
    return Standing(best, whose, ours - best, ahead + 1, len(peers) + 1)


def peer_means(folder: Path, task: str, name: str, rows: list[Row]) -> dict[str, dict[str, float]]:
    """By method: the means over the same pairs, where it was scored on all of them."""
    scored = {row["name"] for row in rows}
    by_method: dict[str, list[Row]] = defaultdict(list)
    for line in _read_csv(folder / f"scores_{task}_pairs.csv"):
        if (line["preset"], line["restoration"]) == (name, "restored") and line["name"] in scored:
            columns = {column: float(line[column]) for column in DRFUSION_TABLE}
            by_method[line["method"]].append({"name": line["name"], **columns})
    return {m: means(group) for m, group in by_method.items() if len(group) == len(scored)}


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
        mean(values[role]) if len(values[role]) == len(scored) else None for role in roles
    )
    return first, second


def _read_csv(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def summary(standing: Iterable[Standing]) -> str:
    """How often drfuse is first, and how far down at worst."""
    cells = list(standing)
    if not cells:
        return ""
    first = sum(cell.place == 1 for cell in cells)
    worst = max(cell.place for cell in cells)
    return f"first in {first} of {len(cells)} cells, never below place {worst}"


# ---- telling ----------------------------------------------------------------------------------


def table(
    evaluation: Evaluation,
    roles: tuple[str, str],
    standing: Mapping[str, Standing],
    chain: tuple[float | None, float | None],
) -> str:
    """What a preset came to, as text: the six columns, then the restored sources."""
    rows = rows_of(evaluation)
    average, seconds = means(rows), evaluation.methods[0].seconds_per_pair
    title = f"{evaluation.task}, {evaluation.degrade}"
    lines = [f"{title} (n = {len(rows)}, {_number(seconds, 2)} s a pair)"]
    lines.append(_line("fused", DRFUSION_TABLE))
    lines.append(_line("drfuse", (_number(average.get(c), 4) for c in DRFUSION_TABLE)))
    if standing:
        cells = [standing.get(column) for column in DRFUSION_TABLE]
        lines.append(_line("best peer", (_number(c and c.best, 4) for c in cells)))
        lines.append(_line("", (c.whose if c else "-" for c in cells)))
        lines.append(_line("difference", (f"{c.gain:+.4f}" if c else "-" for c in cells)))
        lines.append(_line("place", (f"{c.place} of {c.of}" if c else "-" for c in cells)))
    lines.append(_line("luma PSNR, dB", (*STAGES.values(), "peers")))
    for i, role in enumerate(roles):
        values = [_number(average.get(f"{stage}{i + 1}"), 2) for stage in STAGES.values()]
        lines.append(_line(role, (*values, _number(chain[i], 2))))
    return "\n".join(lines)


def _line(label: str, cells: Iterable[str]) -> str:
    return f"  {label:<14}" + "".join(f"{cell:>11}" for cell in cells)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


# ---- running ----------------------------------------------------------------------------------


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
    parser.add_argument("--self-ensemble", type=int, default=1, help="views that are averaged")
    parser.add_argument("--correction", choices=get_args(Correction), default="joint")
    parser.add_argument("--limit", type=int, help="only the first pairs")
    parser.add_argument("--seed", type=int, default=PEER_SEED)
    parser.add_argument("--workers", type=int, default=processors(), help="processes that score")
    parser.add_argument("--peers", type=Path, help="folder with scores_*_pairs.csv to stand beside")
    parser.add_argument("--out", type=Path, help="write fused and restored images here")
    parser.add_argument("--json", type=Path, help="write every number here")
    return parser.parse_args(arguments)


def score(options: argparse.Namespace, name: str, pairs: list[CleanPair], fuse: Fuse) -> Evaluation:
    """One preset. Raises ``DrfuseError`` where a pair fails: means must be over the same pairs."""
    setting = Setting(
        degradations_of(options.task, name),
        options.seed,
        DRFUSION_TABLE,
        images=options.out / name if options.out else None,
    )
    plan = Plan(
        options.task, str(options.data), name, tuple(pairs), setting,
        network="drfusion", restorers=("degraded", "lift"),
    )  # fmt: skip
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        print(f"\r{name} {done}/{len(pairs)}", end="", file=sys.stderr, flush=True)

    found = evaluate(plan, fuse, workers=options.workers, advance=advance)
    print("\r\033[K", end="", file=sys.stderr)
    for failure in found.failures:
        raise DrfuseError(f"{failure.pair}: {failure.message}")
    return found


def run(options: argparse.Namespace, fuse: Fuse) -> dict[str, Evaluation]:
    """Print a table for every preset, and what they come to; return the evaluations."""
    pairs = clean_pairs(options.data, options.task)[: options.limit]
    roles = pairs[0].roles
    names = options.presets.replace("unseen", ",".join(UNSEEN)).split(",")
    for name in names:
        degradations_of(options.task, name)
    peers = options.peers
    if peers and options.seed != PEER_SEED:
        print(f"peers left out: their inputs were made with seed {PEER_SEED}", file=sys.stderr)
        peers = None
    results, cells = {}, []
    for name in names:
        found = score(options, name, pairs, fuse)
        standing, chain = {}, (None, None)
        if peers:
            rows = rows_of(found)
            ours = {c: value for c, value in means(rows).items() if c in DRFUSION_TABLE}
            standing = standings(peers, options.task, name, rows, ours)
            chain = peer_restoration(peers, options.task, name, roles, rows)
        print(table(found, roles, standing, chain), "\n")
        cells += standing.values()
        results[name] = found
    if cells:
        print(summary(cells))
    return results


def document_of(evaluation: Evaluation) -> dict[str, Any]:
    """Means and pairs of one preset, ready for JSON."""
    rows = rows_of(evaluation)
    seconds = evaluation.methods[0].seconds_per_pair
    return {"mean": {"seconds": seconds, **means(rows)}, "pairs": rows}


def main() -> None:
    """Load drfuse, score every preset, write the JSON document."""
    from drfuse_cli.engine import Engine
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
            self_ensemble=options.self_ensemble,
        ),
    )
    results = run(options, engine.fuse)
    if options.json:
        document = {
            "task": options.task,
            "roles": clean_pairs(options.data, options.task)[0].roles,
            "seed": options.seed,
            "steps": options.steps,
            "correction": options.correction,
            "self_ensemble": options.self_ensemble,
            "weights": {"name": weights.name, "sha256": weights.sha256},
            "presets": {name: document_of(found) for name, found in results.items()},
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except DrfuseError as error:
        sys.exit(f"error: {error}")
