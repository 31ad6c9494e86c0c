"""Closed form of blur and pooling together against their published approximation.

    python bench/ablation/inverse.py --data DIR --task ivif

The pooled source of the preset *composite*, with its noise and without, brought to full size in one
step and no network: by the coloured-prior lift, by the closed form with a flat prior, and by
``A_blur^+ A_sr^+``, pixels repeated and then Wiener-filtered. The free number of each is tried over
four decades; printed is the mean luma PSNR in dB, best first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.colour import LUMA_NOISE_GAIN, join, luma8, split
from drfuse_cli.config import Degradation, Task, preset
from drfuse_cli.evaluation.cases import clean_pairs, make_case, size_of
from drfuse_cli.metrics import psnr
from drfuse_cli.operators.build import build_operator
from drfuse_cli.operators.lift import lift
from drfuse_cli.operators.operator import Operator
from drfuse_cli.samplers.observation import noise_variance

FREE = (1e-1, 1e-2, 1e-3, 1e-4)
Inverse = Callable[[Operator, Tensor, Tensor], Tensor]


def repeated(operator: Operator, y: Tensor) -> Tensor:
    return y.repeat_interleave(operator.scale, -2).repeat_interleave(operator.scale, -1)


def closed_form(free: float) -> Inverse:
    """``A' (A A' + K I)^-1 y`` around the mean; ``K`` relative to the gain of the pooling."""

    def inverse(operator: Operator, y: Tensor, noise_var: Tensor) -> Tensor:
        flat = y.mean((-2, -1), keepdim=True).expand(*y.shape[:-2], *operator.shape)
        return operator.prox(flat, y, 1.0, torch.full_like(noise_var, free / operator.scale**2))

    return inverse


def one_after_the_other(free: float) -> Inverse:
    def inverse(operator: Operator, y: Tensor, noise_var: Tensor) -> Tensor:
        enlarged = repeated(operator, y)
        flat = enlarged.mean((-2, -1), keepdim=True).expand_as(enlarged)
        return operator.blur.prox(flat, enlarged, 1.0, torch.full_like(noise_var, free))

    return inverse


INVERSES: dict[str, Inverse] = {
    "pixels repeated": lambda operator, y, noise_var: repeated(operator, y),
    "lift, coloured prior": lift,
    **{f"closed form, flat prior, K {free:g}": closed_form(free) for free in FREE},
    **{f"A_blur+ A_sr+, Wiener K {free:g}": one_after_the_other(free) for free in FREE},
}


def scores(
    data: Path, task: Task, limit: int | None, what: Degradation, index: int
) -> Iterator[dict[str, float]]:
    """By inverse: luma PSNR of one pair after another."""
    for pair in clean_pairs(data, task)[:limit]:
        case = make_case(pair, (what, what), 2026)
        clean = luma8(case.clean[index])
        planes, chroma = split(case.degraded[index])
        gain = 1.0 if chroma is None else LUMA_NOISE_GAIN
        variance = noise_variance(torch.tensor([what.noise_std * gain]), torch.tensor([False]))
        y = torch.from_numpy(np.ascontiguousarray(planes))[None, None]
        operator = build_operator(what, size_of(case.clean[index]))
        yield {
            name: psnr(luma8(join(inverse(operator, y, variance)[0, 0].numpy(), None, 8)), clean)
            for name, inverse in INVERSES.items()
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", choices=get_args(Task), default="ivif")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    both = preset(options.task, "composite")
    index = 0 if both[0].sr_scale > 1 else 1
    noisy = both[index]
    found = {
        f"noise {what.noise_std:.2f}": list(
            scores(options.data, options.task, options.limit, what, index)
        )
        for what in (noisy, replace(noisy, noise_std=0.0))
    }
    means = {
        name: [float(np.mean([row[name] for row in rows])) for rows in found.values()]
        for name in INVERSES
    }
    print(f"| {options.task}, source {index + 1} | {' | '.join(found)} |\n|---|---|---|")
    for name, values in sorted(means.items(), key=lambda item: -item[1][0]):
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} |")


if __name__ == "__main__":
    main()
