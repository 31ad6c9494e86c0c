"""Before the loop: observations without most of their noise.

The correction and the lift take noise for white and Gaussian, and know a scene by its spectrum. A
network knows more of pictures, and sees where noise was clipped at black and white.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from drfuse_cli.samplers.observation import (
    Inputs,
    Observation,
    colour_source,
    stated,
    with_noise,
)

Denoise = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""``(y, chroma, noise_std, blur_sigma)`` to ``y`` without noise, see `networks.denoiser`."""

LEFT_BLURRED = 0.25
"""Share of the stated noise that is assumed afterwards where a blur or pooling is undone, which
enlarges the errors of the denoiser."""

_LEAST = 0.5
"""Grey levels of noise up to which a source is left as it is: hardly more than its rounding."""


def noise_left(condition: Tensor, share: float) -> Tensor:
    """What is assumed of both sources afterwards, ``B x 2`` grey levels.

    ``share`` of the stated noise where nothing but noise degraded a source.
    """
    noise, blur, scale = stated(condition)
    shares = torch.where((blur > 0) | (scale > 1), LEFT_BLURRED, share)
    return torch.where(noise > _LEAST, shares * noise, noise)


def denoised(inputs: Inputs, denoise: Denoise, left_share: float) -> Inputs:
    """The same pair as if it had come with less noise; luminance alone, chroma stays."""
    noise, blur, scale = stated(inputs.condition)
    left = noise_left(inputs.condition, left_share)
    if torch.equal(left, noise):
        return inputs
    of_colour = colour_source(inputs.condition)
    sources = []
    for i, seen in enumerate(inputs.observations[:2]):
        chroma = inputs.observations[2].y if i == of_colour else torch.zeros_like(seen.y)
        told = noise[:, i], left[:, i], blur[:, i] / scale[:, i]
        sources.append(_denoised(seen, chroma.expand(-1, 2, -1, -1), *told, denoise))
    observations = (*sources, *inputs.observations[2:])
    return Inputs(observations, with_noise(inputs.condition, left))


def _denoised(
    seen: Observation, chroma: Tensor, noise: Tensor, left: Tensor, blur: Tensor, denoise: Denoise
) -> Observation:
    noisy = (left < noise)[:, None, None, None]
    if not bool(noisy.any()):
        return seen
    y = torch.where(noisy, denoise(seen.y, chroma, noise, blur), seen.y)
    gone = (noise.square() - left.square()) / 255**2
    left_var = seen.noise_var - gone[:, None, None, None]
    # Of the noisy source, as parts of a whole have it, so that both come out alike.
    return replace(seen, y=y, noise_var=left_var, level=seen.found_level)
