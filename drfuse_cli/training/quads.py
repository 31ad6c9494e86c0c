"""What ReCoFuse trains on: crops of both modalities, each degraded and clean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.impairments import INFRARED, VISIBLE, draw_all, impair
from drfuse_cli.training.data import CleanPair, draw_crops


class Quad(NamedTuple):
    """RGB ``B x 3 x S x S`` in 0..1; infrared with three equal channels."""

    visible: Tensor
    infrared: Tensor
    visible_clean: Tensor
    infrared_clean: Tensor


def draw_quad(
    pairs: list[CleanPair], count: int, size: int, rng: np.random.Generator, device: torch.device
) -> Quad:
    """Random crops of ``size`` pixels with degradations drawn for each source on its own."""
    infrared, visible = draw_crops(pairs, count, size, rng, colourise=True)
    seen_infrared = [impair(image[0], draw_all(INFRARED, rng), rng) for image in infrared]
    seen_visible = [
        impair(image.transpose(1, 2, 0), draw_all(VISIBLE, rng), rng).transpose(2, 0, 1)
        for image in visible
    ]

    def grey(planes: np.ndarray) -> Tensor:
        return torch.from_numpy(planes).expand(-1, 3, -1, -1).contiguous().to(device)

    return Quad(
        torch.from_numpy(np.stack(seen_visible)).to(device),
        grey(np.stack(seen_infrared)[:, None]),
        torch.from_numpy(visible).to(device),
        grey(infrared),
    )
