"""What our gradient of 3 x 3 kernels saves of a training step, against the library's own.

    python bench/throughput/training.py [--batch-size 2] [--crop 208] [--rounds 5]

Steps of both take turns in one process and one thread; the ratio of their medians is printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from drfuse_cli.networks import convolution
from drfuse_cli.training.data import CleanPair
from drfuse_cli.training.drfusion import DRFusionLearner
from drfuse_cli.training.options import TrainOptions


def pairs() -> list[CleanPair]:
    """Noise is as good as a scene here: nothing depends on what there is to see."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 480, 640), np.uint8)
    return [CleanPair("noise", first, second)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--crop", type=int, default=208)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    options = TrainOptions(
        (), "ivif", Path("unused"), batch_size=asked.batch_size, crop=asked.crop, device="cpu"
    )
    learner, clean = DRFusionLearner(options, torch.device("cpu"), Path("unused")), pairs()

    def seconds(step: int) -> float:
        learner.step = step  # the step decides the batch
        start = time.perf_counter()
        learner.update(clean, 0.5)
        return time.perf_counter() - start

    seconds(0)
    ours, library = [], []
    for step in range(asked.rounds):
        ours.append(seconds(step))
        with patch.object(convolution, "_plain", lambda x, weight: False):
            library.append(seconds(step))
    ratio = statistics.median(library) / statistics.median(ours)
    print(f"a step of {asked.batch_size} crops of {asked.crop}: {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
