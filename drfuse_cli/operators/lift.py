"""The coloured-prior lift: a source brought to full resolution in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from drfuse_cli.operators.operator import Operator

# Median of a squared normal over its mean, and what is left of the level so measured:
# spectra of images are heavier-tailed than the model, and a lower level lifts better.
_CHI2_MEDIAN = 0.4549
_LEVEL = 0.55
# A median below this share of the mean is not of the scene: those of photographs are 0.4 and more.
_SPARSE = 0.1


def prior_level(
    operator: Operator, y: Tensor, noise_var: Tensor, analysed: Tensor | None = None
) -> Tensor:
    """The level ``C`` of the power-law prior ``C f^-q`` of each channel, ``B x C x 1 x 1``.

    The median of observed over expected power in the low frequencies, where signal outweighs
    noise and blur; the mean where half of them hold nothing, as in a mosaic of mirror images.
    ``y``: ``B x C x h x w``; ``noise_var`` broadcasts against it.
    """
    power = operator.power(operator.analyse(y) if analysed is None else analysed)
    height, width = operator.out_shape
    rows = max(2, min(power.shape[-2], math.ceil(0.1 * height * operator.scale)))
    columns = max(2, min(power.shape[-1], math.ceil(0.1 * width * operator.scale)))
    power = power[..., :rows, :columns]
    expected = operator.gram(operator.natural_spectrum)[..., :rows, :columns].expand_as(power)
    power, expected = power.flatten(-2), expected.flatten(-2)
    if power.shape[-1] > 1:
        power, expected = power[..., 1:], expected[..., 1:]  # the mean says nothing about contrast
    low, noise = power / expected, noise_var[..., 0] / expected
    level = low.median(-1).values / _CHI2_MEDIAN - noise.median(-1).values
    # What a long shake leaves next to nothing of says nothing either.
    heard = (expected / expected.median(-1, keepdim=True).values).clamp_max(1)
    mean = ((low - noise) * heard).sum(-1) / heard.sum(-1)
    level = torch.where(level > _SPARSE * mean, level, mean)
    return _LEVEL * level.clamp_min(1e-12)[..., None, None]


def prior_variance(operator: Operator, level: Tensor) -> Tensor:
    """The power-law prior of each channel over ``operator.frequency``, from its level."""
    return level * operator.natural_spectrum


def lift(
    operator: Operator,
    y: Tensor,
    noise_var: Tensor,
    prior: Tensor | None = None,
    analysed: Tensor | None = None,
) -> Tensor:
    """The maximum a posteriori image under the power-law prior, ``B x C x H x W``.

    ``prior``: its spectrum, where it is not to be that of ``y`` itself; ``analysed``: what
    ``operator.analyse`` makes of ``y``. Subsumes the Wiener filter (40) and the exact inverse
    of the composite operator.
    """
    if analysed is None:
        analysed = operator.analyse(y)
    if prior is None:
        prior = prior_variance(operator, prior_level(operator, y, noise_var, analysed))
    mean = y.mean((-2, -1), keepdim=True)
    return operator.prox(mean, y, prior, noise_var, analysed)
