"""The two parts of the joint correction apart, and the number of steps.

    python bench/ablation/run.py --train DIR --val DIR --task ivif --steps 800 --out runs/ablation

Trains one small run per correction, alike in seed, data order and steps, and scores each with
``bench/quality/run.py`` under the correction it was trained with; then scores ``--weights`` (the
task's own by default) with 1, 2, 3 and 5 steps and with the published correction.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

QUALITY = Path(__file__).resolve().parents[1] / "quality" / "run.py"
CORRECTIONS = {
    "joint": "both parts",
    "data": "data term only",
    "fusion": "f row only",
    "none": "neither",
}
COLUMNS = ("restored1", "restored2", "Q_MI", "Q_NCIE", "Q_G", "Q_P", "Q_CB", "Q_W")


def train(options: argparse.Namespace, correction: str) -> Path:
    """One run of ``drfuse train``; a file that is there already is kept."""
    weights = Path(options.out) / f"{correction}.safetensors"
    if not weights.is_file():
        command = [
            *(sys.executable, "-m", "drfuse_cli", "train", *map(str, options.train)),
            *("--task", options.task, "-o", str(weights), "--steps", str(options.steps)),
            *("--crop", str(options.crop), "--batch-size", str(options.batch_size)),
            *("--width", str(options.width), "--seed", str(options.seed)),
            *("--correction", correction),
        ]
        subprocess.run(command, check=True)
    return weights


def score(options: argparse.Namespace, name: str, *flags: str) -> dict[str, Any]:
    """Means by preset, from the quality bench."""
    document = Path(options.out) / f"{name}.json"
    command = [
        *(sys.executable, str(QUALITY), "--data", str(options.val), "--task", options.task),
        *("--limit", str(options.limit), "--json", str(document), *flags),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    presets = json.loads(document.read_text())["presets"]
    return {preset: result["mean"] for preset, result in presets.items()}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown: one row a variant and preset."""
    lines = [f"| preset | variant | {' | '.join(COLUMNS)} |", "|---|---" + "|---" * 8 + "|"]
    for preset in next(iter(rows.values())):
        for variant, means in rows.items():
            cells = (
                f"{means[preset][c]:.2f}" if c.startswith("restored") else f"{means[preset][c]:.4f}"
                for c in COLUMNS
            )
            lines.append(f"| {preset} | {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="clean training pairs")
    parser.add_argument("--val", type=Path, required=True, help="clean pairs to score on")
    parser.add_argument("--task", default="ivif")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument(
        "--only", nargs="+", choices=CORRECTIONS, default=list(CORRECTIONS), help="corrections"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--weights", help="weights for the table of steps")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    def corrected(correction: str) -> dict[str, Any]:
        weights = train(options, correction)
        return score(options, correction, "--weights", str(weights), "--correction", correction)

    with ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(corrected, options.only)
        rows = dict(zip((CORRECTIONS[name] for name in options.only), results, strict=True))
    print(table(rows), "\n")
    own = ["--weights", options.weights] if options.weights else []
    by_steps = {
        f"T = {n}": score(options, f"steps{n}", "--steps", str(n), *own) for n in (1, 2, 3, 5)
    }
    by_steps["published correction"] = score(options, "paper", "--correction", "paper", *own)
    print(table(by_steps))


if __name__ == "__main__":
    main()
