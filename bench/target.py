"""What is worth aiming at: fusions of the *clean* sources, scored against them.

    python bench/target.py --data DIR --task ivif

The ideal fusion is what training asks of the fused image (`training/losses.py`); beside it the
maximum of the paper's eq. (22) and classical rules. An upper bound, not a result.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from drfuse_cli.colour import luma8
from drfuse_cli.config import Task
from drfuse_cli.evaluation.baselines import average, laplacian, maximum, wavelet
from drfuse_cli.imageio import read_image
from drfuse_cli.metrics import DRFUSION_TABLE, score
from drfuse_cli.pairs import find_pairs
from drfuse_cli.training.losses import WEIGHTS

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]


def ideal(task: Task) -> Rule:
    def fuse(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        x1, x2 = (torch.from_numpy(x)[None, None] / 255 for x in (a, b))
        fused: np.ndarray = WEIGHTS[task].ideal(x1, x2)[0, 0].numpy() * 255
        return fused

    return fuse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", choices=list(WEIGHTS), required=True)
    options = parser.parse_args()
    rules: dict[str, Rule] = {
        "ideal fusion": ideal(options.task),
        "maximum": maximum,
        "average": average,
        "laplacian": laplacian,
        "wavelet": wavelet,
    }
    sums = {name: np.zeros(len(DRFUSION_TABLE)) for name in rules}
    pairs = find_pairs(options.data, options.task)
    for pair in pairs:
        a, b = (luma8(read_image(path)) for path in (pair.source1, pair.source2))
        for name, rule in rules.items():
            fused = rule(a.astype(np.float32), b.astype(np.float32))
            pixels = np.clip(np.floor(fused + 0.5), 0, 255).astype(np.uint8)
            values = score(a, b, pixels, DRFUSION_TABLE)
            sums[name] += [values[column].value or np.nan for column in DRFUSION_TABLE]
    print(
        f"{options.task}, {len(pairs)} clean pairs\n{'':14}", *(f"{c:>8}" for c in DRFUSION_TABLE)
    )
    for name, total in sums.items():
        print(f"{name:14}", *(f"{value:8.4f}" for value in total / len(pairs)))


if __name__ == "__main__":
    main()
