"""ReCoFuse beside public methods, on the inputs that those were run on.

    python bench/recofuse/peers.py --data VAL --peers PEERS [--weights NAME|FILE]

Degrades every pair of ``VAL`` by the three presets, as the inputs of the peers were, fuses it by
``drfuse eval --method recofuse --restore-first``, and sets the metrics of the paper's tables,
against the clean sources, beside ``PEERS/scores_ivif.csv``: peers that a chain restored for, which
knew every parameter. A row a method, with the number of columns in which ReCoFuse is ahead of it.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

COLUMNS = ("SD", "MI", "EN", "CC", "SCD", "VIF")
PRESETS = ("noise", "blur", "composite")

Means = dict[str, float]


def ours(data: Path, preset: str, weights: str | None) -> Means:
    command = [sys.executable, "-m", "drfuse_cli", "eval", str(data), "--degrade", preset]
    command += ["--method", "recofuse", "--restore-first", "--metrics", "recofuse", "--json"]
    command += ["--weights", weights] if weights else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    means: Means = json.loads(done.stdout)["methods"][0]["mean"]
    return means


def peers(scores: Path, preset: str) -> dict[str, Means]:
    """The means of every peer whose sources were restored."""
    with scores.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["preset"] == preset]
    return {
        row["method"]: {column: float(row[column]) for column in COLUMNS}
        for row in rows
        if row["restoration"] == "restored"
    }


def ahead(own: Means, other: Means) -> int:
    return sum(own[column] > other[column] for column in COLUMNS)


def table(own: Means, others: dict[str, Means]) -> list[str]:
    """Markdown; the last row is the best peer of each column."""
    best = {column: max(other[column] for other in others.values()) for column in COLUMNS}
    lines = [f"| method | {' | '.join(COLUMNS)} | recofuse ahead in |", "|---" * 8 + "|"]
    for name, means in {"recofuse": own, **others, "best peer of each": best}.items():
        cells = " | ".join(f"{means[column]:.3f}" for column in COLUMNS)
        count = "" if means is own else f"{ahead(own, means)} of {len(COLUMNS)}"
        lines.append(f"| {name} | {cells} | {count} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peers", type=Path, required=True, help="folder with scores_ivif.csv")
    parser.add_argument("--weights", help="name or file; default: the bundled ones")
    options = parser.parse_args()
    for preset in PRESETS:
        others = peers(options.peers / "scores_ivif.csv", preset)
        print("\n".join([preset, "", *table(ours(options.data, preset, options.weights), others)]))
        print(flush=True)


if __name__ == "__main__":
    main()
