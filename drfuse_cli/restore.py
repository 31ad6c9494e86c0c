"""Restoration of one image without a network: the closed-form lift, as a baseline."""

from __future__ import annotations

import numpy as np
import torch

from drfuse_cli.colour import CHROMA_NOISE_GAIN, LUMA_NOISE_GAIN, join, split
from drfuse_cli.config import Degradation
from drfuse_cli.imageio import Image
from drfuse_cli.operators.build import build_operator
from drfuse_cli.operators.lift import lift
from drfuse_cli.samplers.observation import noise_variance


def lift_image(image: Image, degradation: Degradation, shape: tuple[int, int]) -> Image:
    """The coloured-prior estimate of ``image`` on a grid ``shape`` = (H, W).

    ``H`` and ``W`` are ``degradation.sr_scale`` times the image's. Source: ideas.md section 3.
    """
    operator = build_operator(degradation, shape)

    def enlarge(planes: np.ndarray, gain: float) -> np.ndarray:
        y = torch.from_numpy(np.ascontiguousarray(planes))[:, None]
        noise_std = torch.tensor([degradation.noise_std * gain])
        variance = noise_variance(noise_std, torch.tensor([False]), gain)
        lifted: np.ndarray = lift(operator, y, variance)[:, 0].numpy()
        return lifted

    luma, chroma = split(image)
    if chroma is None:
        return join(enlarge(luma[None], 1.0)[0], None, image.bits)
    restored = enlarge(chroma, CHROMA_NOISE_GAIN)
    return join(enlarge(luma[None], LUMA_NOISE_GAIN)[0], restored, image.bits)
