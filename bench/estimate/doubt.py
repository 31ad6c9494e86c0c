"""How often a stated blur is doubted, rightly and wrongly.

    python bench/estimate/doubt.py --data DIR --task ivif [--said 2] [--noise 4] [--scale 4]
        [--true 1.25,2]

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from drfuse_cli.config import TASKS, Degradation
from drfuse_cli.degradations import doubted_flags
from drfuse_cli.evaluation.cases import clean_pairs, make_case
from drfuse_cli.operators.estimate import estimate

SEED = 2026
SIGMAS = (0.0, 0.7, 1.0, 1.25, 1.5, 1.75, 1.9, 2.0, 2.5, 3.0)


def table(
    data: Path, task: str, said: Degradation, sigmas: Sequence[float], limit: int | None
) -> Iterator[str]:
    """Markdown: by true sigma, files of which that ``said`` is doubted, and what they show at most.

    Sigmas are in pixels of the full size.
    """
    sigma = f"{said.blur_sigma:g}"
    yield f"| true sigma | {sigma} doubted: source 1 | source 2 | at most: source 1 | source 2 |"
    yield "|---|---|---|---|---|"
    stated = replace(said, origin={"blur_sigma": "flag"})
    pairs = list(clean_pairs(data, task))[:limit]
    for true_sigma in sigmas:
        true = replace(said, blur_sigma=true_sigma)
        doubted: tuple[list[int], list[int]] = [], []
        bounds: tuple[list[float], list[float]] = [], []
        for pair in pairs:
            images = make_case(pair, (true, true), SEED).degraded
            warned = list(doubted_flags(images, (stated, stated)))
            for i, image in enumerate(images):
                doubted[i].append(any(text.startswith(f"source {i + 1}:") for text in warned))
                most = estimate(image).most_blur
                bounds[i].append(float("inf") if most is None else most * said.sr_scale)
        shares = (f"{sum(d)} of {len(d)}" for d in doubted)
        most_of = ("none" if median(b) == float("inf") else f"{median(b):.2f}" for b in bounds)
        yield f"| {true_sigma:g} | {' | '.join(shares)} | {' | '.join(most_of)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="clean pairs")
    parser.add_argument("--task", choices=TASKS, default="ivif")
    parser.add_argument("--said", type=float, default=2.0, help="the sigma that is stated")
    parser.add_argument("--noise", type=float, default=0.0, help="in the files, and stated")
    parser.add_argument("--scale", type=int, default=1, help="by how much the files are pooled")
    parser.add_argument("--true", default=",".join(f"{s:g}" for s in SIGMAS), help="sigmas")
    parser.add_argument("--limit", type=int, help="the first pairs only")
    options = parser.parse_args()
    sigmas = [float(word) for word in options.true.split(",")]
    said = Degradation(options.noise, options.said, options.scale)
    for line in table(options.data, options.task, said, sigmas, options.limit):
        print(line, flush=True)


if __name__ == "__main__":
    main()
