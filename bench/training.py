"""How many times as fast a training step is in bf16 as in fp32, on this machine.

    python bench/training.py --data DIR [--steps 8] [--device cpu]

``DIR`` holds clean infrared-visible pairs. Takes turns, a step in each precision, for the parts
that can be trained alone from the bundled weights: denoiser and steps of DRFusion, coupled stage
and refiner of ReCoFuse; prints the ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from drfuse_cli.training import TrainOptions
from drfuse_cli.training.data import CleanPair, load_pairs
from drfuse_cli.training.drfusion import DRFusionLearner
from drfuse_cli.training.learner import Learner
from drfuse_cli.training.recofuse import RecoFuseLearner

PRECISIONS = ("fp32", "bf16")


def parts(data: Path) -> dict[str, TrainOptions]:
    drfusion = TrainOptions((data,), "ivif", Path("w.safetensors"), init="ivif-small", batch_size=2)
    recofuse = replace(drfusion, method="recofuse", init="recofuse-small", crop=160)
    return {
        "denoiser": replace(drfusion, denoiser_only=True, crop=208),
        "steps": replace(drfusion, steps_only=True, crop=128),
        "coupled stage": replace(recofuse, stage="coupled"),
        "refiner": replace(recofuse, stage="refiner"),
    }


def seconds(learner: Learner, pairs: list[CleanPair]) -> float:
    started = time.perf_counter()
    learner.update(pairs, 0.5)
    if learner.device.type == "cuda":
        torch.cuda.synchronize(learner.device)
    return time.perf_counter() - started


def ratio(run: TrainOptions, pairs: list[CleanPair], device: torch.device, folder: Path) -> float:
    kind = DRFusionLearner if run.method == "drfusion" else RecoFuseLearner
    learners = [kind(replace(run, precision=how), device, folder) for how in PRECISIONS]
    for learner in learners:
        seconds(learner, pairs)
    taken = [[seconds(learner, pairs) for learner in learners] for _ in range(run.steps)]
    fp32, bf16 = map(statistics.median, zip(*taken, strict=True))
    return fp32 / bf16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8, help="in each precision")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    pairs = load_pairs((options.data,), "ivif")
    print("| learns | steps in bf16 for one in fp32 |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, run in parts(options.data).items():
            counted = replace(run, steps=options.steps)
            found = ratio(counted, pairs, torch.device(options.device), Path(folder))
            print(f"| {name} | {found:.2f} |", flush=True)


if __name__ == "__main__":
    main()
