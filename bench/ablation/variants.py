"""What each idea is worth: weights against the mean, one network against three, the inverse.

    python bench/ablation/variants.py --train DIR --val DIR --task ivif --out runs/variants

Trains small runs that are alike in seed, data order and steps, scores them on the middle of some
pairs, degraded by the published presets, and prints four tables:

- *put*: trained weights (``--weights``) without their denoiser, without their fusion decoder, with
  the fusion weight set to 0.5 everywhere, and with the published correction instead of theirs: what
  nothing was trained for;
- *weights*: the learned weights against 0.5 everywhere, both trained so;
- *scenarios*: one set of weights for every degradation against one for each preset alone;
- *inverse*: the correction of this tool against the published one, trained with it.

Files that are there already are kept, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from run import table

from drfuse_cli.colour import luma8
from drfuse_cli.config import Correction, FuseOptions, PresetName, preset
from drfuse_cli.engine import Engine
from drfuse_cli.evaluation.cases import clean_pairs, make_case
from drfuse_cli.metrics import DRFUSION_TABLE, psnr, score
from drfuse_cli.models import DRFusion
from drfuse_cli.training import TrainOptions, TrainProgress, degradations, drfusion, train
from drfuse_cli.weights import LoadedWeights, load_weights, save_weights

sys.path.append(str(Path(__file__).resolve().parents[1] / "robustness"))
from middle import spread_out

PRESETS: tuple[PresetName, ...] = ("noise", "blur", "composite")
Means = dict[str, dict[str, Any]]


def only(name: str) -> AbstractContextManager[Any]:
    """Every batch is drawn around one preset, as every sixth or so is otherwise."""
    return patch.multiple(degradations, _PUBLISHED_SHARE=1.0, _PUBLISHED={name: 1.0})


def equal_weights() -> AbstractContextManager[Any]:
    """The head of the fusion weight stays at zero, where it starts: W1 = W2 = 0.5 everywhere."""
    start: Callable[[TrainOptions], DRFusion] = drfusion.starting_model

    def without_head(options: TrainOptions) -> DRFusion:
        model = start(options)
        model.network.weight_head.requires_grad_(False)
        return model

    return patch.object(drfusion, "starting_model", without_head)


def trained(
    options: argparse.Namespace,
    name: str,
    way: AbstractContextManager[Any] | None = None,
    correction: Correction = "joint",
) -> Path:
    """One run of the loop of ``drfuse train``; a file that is there already is kept."""
    output: Path = options.out / f"{name}.safetensors"
    if not output.is_file():
        wanted = TrainOptions(
            data=tuple(options.train),
            task=options.task,
            output=output,
            steps=options.steps,
            batch_size=options.batch_size,
            crop=options.crop,
            width=options.width,
            correction=correction,
        )
        with way or nullcontext():
            train(wanted, _tell)
    return output


def _tell(progress: TrainProgress) -> None:
    if progress.message:
        print(f"  {progress.message}", flush=True)


def with_equal_weights(weights: LoadedWeights, output: Path) -> Path:
    """Trained weights whose fusion weight is 0.5 everywhere, without any training."""
    tensors = {
        name: tensor * 0 if "weight_head" in name else tensor
        for name, tensor in weights.tensors.items()
    }
    for name in tensors:
        if name.startswith("network.decoder.head"):  # the fused image first, then the weight
            tensors[name] = torch.cat((tensors[name][:4], 0 * tensors[name][4:]))
    save_weights(output, tensors, weights.architecture, weights.task, dtype="fp32")
    return output


_PARTS = {"decoder": "network.decoder.", "denoiser": "denoiser."}


def without(part: str, weights: LoadedWeights, output: Path) -> Path:
    """Trained weights without a part that was trained alone: ``decoder`` or ``denoiser``."""
    kept = {n: t for n, t in weights.tensors.items() if not n.startswith(_PARTS[part])}
    save_weights(output, kept, {**weights.architecture, part: 0}, weights.task)
    return output


# ---- scoring ----------------------------------------------------------------------------------


def scored(
    options: argparse.Namespace,
    weights: Path | str | None,
    correction: Correction = "joint",
    presets: tuple[PresetName, ...] = PRESETS,
) -> Means:
    """By preset: luma PSNR of both restored sources and the six columns, as means."""
    wanted = FuseOptions(task=options.task, correction=correction)
    engine = Engine(load_weights(weights and str(weights), options.task), wanted)
    pairs = spread_out(clean_pairs(options.val, options.task), options.limit, options.edge)
    means: Means = {}
    for name in presets:
        rows = []
        for pair in pairs:
            case = make_case(pair, preset(options.task, name), 2026)
            result = engine.fuse(*case.degraded, case.degradations)
            clean = [luma8(image) for image in case.clean]
            found = score(clean[0], clean[1], luma8(result.fused), DRFUSION_TABLE)
            row = {column: one.value or 0.0 for column, one in found.items()}
            for i, image in enumerate(result.sources):
                row[f"restored{i + 1}"] = psnr(luma8(image), clean[i])
            rows.append(row)
        means[name] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return means


# ---- the tables -------------------------------------------------------------------------------


def put_table(options: argparse.Namespace) -> Means:
    bundled = load_weights(options.weights, options.task)
    half = with_equal_weights(bundled, options.out / "put-half.safetensors")
    return {
        bundled.name: scored(options, options.weights),
        **{
            f"without the {name}": scored(
                options, without(part, bundled, options.out / f"put-no-{part}.safetensors")
            )
            for part, name in (("denoiser", "denoiser"), ("decoder", "fusion decoder"))
            if bundled.architecture.get(part)
        },
        "W1 = W2 = 0.5 put in": scored(options, half),
        "published correction put in": scored(options, options.weights, "paper"),
    }


def weights_table(options: argparse.Namespace) -> Means:
    return {
        "learned weights": scored(options, trained(options, "all")),
        "0.5 everywhere": scored(options, trained(options, "half", equal_weights())),
    }


def scenarios_table(options: argparse.Namespace) -> Means:
    alone: Means = {}
    for name in PRESETS:
        alone |= scored(options, trained(options, f"only-{name}", only(name)), presets=(name,))
    return {"one for all": scored(options, trained(options, "all")), "one for each": alone}


def inverse_table(options: argparse.Namespace) -> Means:
    theirs = trained(options, "paper", correction="paper")
    return {
        "closed form, learned trust": scored(options, trained(options, "all")),
        "published": scored(options, theirs, "paper"),
    }


TABLES = {
    "put": put_table,
    "weights": weights_table,
    "scenarios": scenarios_table,
    "inverse": inverse_table,
}


def printed(options: argparse.Namespace) -> Iterator[str]:
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.tables.split(","):
        yield f"{name}\n\n{table(TABLES[name](options))}\n"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="clean training pairs")
    parser.add_argument("--val", type=Path, required=True, help="clean pairs to score on")
    parser.add_argument("--task", default="ivif")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--limit", type=int, default=8, help="pairs to score, evenly apart")
    parser.add_argument("--edge", type=int, default=256, help="pixels of their middle")
    parser.add_argument("--weights", help="weights into which 0.5 is put; the task's own")
    parser.add_argument("--tables", default=",".join(TABLES), help="comma-separated")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    for text in printed(parse_arguments()):
        print(text, flush=True)
