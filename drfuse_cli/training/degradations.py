"""Degradations drawn on the fly over the whole range that users state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.colour import CHROMA_NOISE_GAIN, LUMA_NOISE_GAIN, RGB_TO_YCBCR
from drfuse_cli.config import PresetName, Task, preset
from drfuse_cli.operators.build import gaussian_operator
from drfuse_cli.operators.operator import Operator
from drfuse_cli.samplers.observation import (
    CHROMA,
    SOURCE1,
    SOURCE2,
    Inputs,
    Observation,
    describe,
    noise_variance,
)

MARGIN = 16
"""Pixels around a crop that reach into it through the widest blur (a multiple of 8)."""


# Probability of each scale for source 1 and source 2.
_SCALES: dict[Task, tuple[dict[int, float], dict[int, float]]] = {
    "ivif": ({1: 0.55, 2: 0.15, 4: 0.30}, {1: 0.80, 2: 0.12, 4: 0.08}),
    "medical": ({1: 0.75, 2: 0.15, 4: 0.10}, {1: 0.50, 2: 0.35, 4: 0.15}),
    "multifocus": ({1: 0.80, 2: 0.12, 4: 0.08}, {1: 0.80, 2: 0.12, 4: 0.08}),
}


@dataclass(frozen=True)
class Draw:
    """One source of a batch: noise in grey levels as in the file and blur sigma, ``B`` each.

    ``exact``: the network is told these values as they are, not as a user would guess them.
    """

    noise_std: Tensor
    sigma: Tensor
    scale: int
    border: str
    exact: bool = False


_UNTOUCHED: dict[Task, float] = {"ivif": 0.0, "medical": 0.0, "multifocus": 0.4}
"""Of the batches nothing was done to: most near and far pairs are clean."""
_PUBLISHED_SHARE = 0.5
_PUBLISHED: dict[PresetName, float] = {"noise": 0.45, "blur": 0.25, "composite": 0.3}


def draw(task: Task, count: int, rng: np.random.Generator) -> tuple[Draw, Draw]:
    """Noise 0..25, blur 0..3, scale 1, 2 or 4, independent per source; an eighth is clean.

    Every second batch is drawn around a published preset instead, which is where most
    files are compared, and where the values are known exactly. Of near and far pairs two
    batches in five are clean, as most such pairs are.
    """
    if _UNTOUCHED[task] and rng.random() < _UNTOUCHED[task]:
        nothing = torch.zeros(count)
        untouched = Draw(nothing, nothing, 1, "reflect", exact=True)
        return untouched, untouched
    border = str(rng.choice(["reflect", "real", "zero"], p=[0.45, 0.4, 0.15]))
    if rng.random() < _PUBLISHED_SHARE:
        return _draw_published(task, count, border, rng)
    draws = []
    for odds in _SCALES[task]:
        scale = int(rng.choice(list(odds), p=list(odds.values())))
        noisy, blurred = rng.random(count) < 0.72, rng.random(count) < 0.6
        clean = rng.random(count) < 0.12
        noise = rng.uniform(0, 25, count) / np.where(rng.random(count) < 0.7, scale, 1)
        sigma = rng.uniform(0.3, 3, count)
        draws.append(
            Draw(
                torch.from_numpy(np.where(noisy & ~clean, noise, 0)).float(),
                torch.from_numpy(np.where(blurred & ~clean, sigma, 0)).float(),
                scale,
                border,
            )
        )
    return draws[0], draws[1]


def _draw_published(
    task: Task, count: int, border: str, rng: np.random.Generator
) -> tuple[Draw, Draw]:
    """A preset with its values spread by a tenth or so."""
    names, odds = list(_PUBLISHED), list(_PUBLISHED.values())
    name = names[int(rng.choice(len(names), p=odds))]
    first, second = (
        Draw(
            torch.from_numpy(d.noise_std * rng.uniform(0.85, 1.15, count)).float(),
            torch.from_numpy(d.blur_sigma * rng.uniform(0.9, 1.1, count)).float(),
            d.sr_scale,
            border,
            exact=True,
        )
        for d in preset(task, name)
    )
    return first, second


def _observe(x: Tensor, what: Draw, generator: torch.Generator) -> Tensor:
    """Blurs, pools, adds noise, clips and rounds: ``B x C x (S + 2M)^2`` to the file's pixels."""
    inner = slice(MARGIN, -MARGIN)
    if what.border == "reflect":
        x = x[..., inner, inner]
    elif what.border == "zero":
        frame = torch.zeros_like(x)
        frame[..., inner, inner] = x[..., inner, inner]
        x = frame
    shape = (x.shape[-2], x.shape[-1])
    y = gaussian_operator(what.sigma, shape, what.scale).A(x)
    if what.border != "reflect":
        cut = slice(MARGIN // what.scale, -(MARGIN // what.scale))
        y = y[..., cut, cut]
    noise = torch.randn(y.shape, generator=generator)
    y = y + what.noise_std[:, None, None, None] / 255 * noise
    y = (y.clamp(0, 1) * 255 + 0.5).floor() / 255
    if what.border == "zero":
        inside = torch.zeros_like(x)
        inside[..., inner, inner] = 1
        coverage = gaussian_operator(what.sigma, shape, what.scale).A(inside)[..., cut, cut]
        y = (y / coverage[:, :1].clamp_min(0.05)).clamp(max=1.5)
    return y


def _stated(values: Tensor, spread: float, rng: np.random.Generator) -> Tensor:
    """What a user would state of a true value: right to within a few per cent."""
    return values * torch.from_numpy(np.exp(rng.normal(0, spread, len(values)))).float()


def to_ycbcr(rgb: Tensor) -> Tensor:
    """RGB ``B x 3 x H x W`` to Y in 0..1 and Cb, Cr around 0."""
    return torch.einsum("ij,bjhw->bihw", torch.from_numpy(RGB_TO_YCBCR).to(rgb), rgb)


def degrade(
    first: Tensor,
    rgb: Tensor,
    draws: tuple[Draw, Draw],
    rng: np.random.Generator,
    device: torch.device,
) -> tuple[Inputs, Tensor]:
    """Sampler inputs and the clean target ``[x1, Y, Cb, Cr]`` (``B x 4 x S x S``).

    ``first``: ``B x 1``, ``rgb``: ``B x 3``, both with :data:`MARGIN` pixels around the crop.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    inner = slice(MARGIN, -MARGIN)
    clean = torch.cat((first, to_ycbcr(rgb)), dim=1)[..., inner, inner]
    shape = (clean.shape[-2], clean.shape[-1])
    colour = clean[:, 2:].abs().amax((1, 2, 3)) > 1e-4
    y1 = _observe(first, draws[0], generator)
    # A grey file has one channel, so its noise is not averaged into luminance.
    file2 = _observe(rgb, draws[1], generator)
    file2 = torch.where(colour[:, None, None, None], file2, file2[:, :1])
    y2 = to_ycbcr(file2)
    noise = [d.noise_std if d.exact else _stated(d.noise_std, 0.08, rng) for d in draws]
    sigma = [d.sigma if d.exact else _stated(d.sigma, 0.03, rng) for d in draws]
    luma_gain = torch.where(colour, LUMA_NOISE_GAIN, 1.0)
    luma_noise = noise[1] * luma_gain
    chroma_noise = noise[1] * torch.where(colour, CHROMA_NOISE_GAIN, 0.0)
    operators: list[Operator] = [
        gaussian_operator(s, shape, d.scale, device=device)
        for s, d in zip(sigma, draws, strict=True)
    ]

    def seen(
        index: int, y: Tensor, std: Tensor, channels: slice, gain: Tensor | float = 1.0
    ) -> Observation:
        what = draws[index]
        untouched = (what.noise_std == 0) & (what.sigma == 0) & (what.scale == 1)
        variance = noise_variance(std, untouched, gain).to(device)
        return Observation(operators[index], y.to(device), variance, channels)

    observations = (
        seen(0, y1, noise[0], SOURCE1),
        seen(1, y2[:, :1], luma_noise, SOURCE2, luma_gain),
        seen(1, y2[:, 1:], chroma_noise, CHROMA, CHROMA_NOISE_GAIN),
    )
    scales = torch.tensor([[float(d.scale) for d in draws]]).expand(len(first), 2)
    condition = describe(
        torch.stack((noise[0], luma_noise), 1),
        torch.stack(sigma, 1),
        scales,
        chroma_noise,
        colour.float() * 2,
    )
    return Inputs(observations, condition.to(device)), clean.to(device)
