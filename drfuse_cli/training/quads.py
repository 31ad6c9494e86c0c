"""What ReCoFuse trains on: crops of both modalities, each degraded and clean."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from drfuse_cli.colour import rgb_to_ycbcr, ycbcr_to_rgb
from drfuse_cli.training.cameras import See, as_it_is
from drfuse_cli.training.data import CleanPair, draw_crops

_TINTED = 0.6
"""How often a visible crop gets patches of colour."""


class Quad(NamedTuple):
    """RGB ``B x 3 x S x S`` in 0..1; infrared with three equal channels."""

    visible: Tensor
    infrared: Tensor
    visible_clean: Tensor
    infrared_clean: Tensor


def tint(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Patches of colour that no brightness explains, ``S x S x 3`` in 0..1.

    Painted crops have the colours of their brightness; skies, paint and lamps have their own,
    and a latent that has not met such colours cannot carry them.
    """
    cells, strength = int(rng.integers(1, 12)), float(rng.uniform(0.02, 0.16))
    y, cb, cr = rgb_to_ycbcr(rgb.astype(np.float64))
    field = rng.normal(0, strength, (cells, cells, 2))
    spread = cv2.resize(field, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    coloured = ycbcr_to_rgb(y, cb + spread[..., 0], cr + spread[..., 1])
    return np.clip(coloured, 0, 1).astype(np.float32)


def draw_quad(
    pairs: list[CleanPair],
    count: int,
    size: int,
    rng: np.random.Generator,
    device: torch.device,
    *,
    see: See = as_it_is,
    colourise: bool = True,
) -> Quad:
    """Random crops of ``size`` pixels with degradations drawn for each source on its own.

    ``see`` takes both pictures; ``colourise`` paints grey visible crops and lays patches of colour
    over some.
    """
    infrared, visible, _ = draw_crops(pairs, count, size, rng, colourise=colourise)
    visible = np.stack(
        [
            tint(image.transpose(1, 2, 0), rng).transpose(2, 0, 1)
            if colourise and rng.random() < _TINTED
            else image
            for image in visible
        ]
    )
    seen_infrared, seen_visible = see(infrared[:, 0], visible.transpose(0, 2, 3, 1), rng)

    def grey(planes: np.ndarray) -> Tensor:
        return torch.from_numpy(planes).expand(-1, 3, -1, -1).contiguous().to(device)

    return Quad(
        torch.from_numpy(seen_visible.transpose(0, 3, 1, 2).copy()).to(device),
        grey(seen_infrared[:, None]),
        torch.from_numpy(visible).to(device),
        grey(infrared),
    )
