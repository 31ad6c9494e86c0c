"""What ReCoFuse's refiner is held against: clean sources, and the metrics of the paper's tables.

As for the fusion decoder of DRFusion (`training.decoding`), scores against the clean sources
lead, the published fusion loss holds, and edges that neither source has are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from drfuse_cli.networks.recofuse.refiner import Pictures
from drfuse_cli.training.aims import counted
from drfuse_cli.training.decoding import added_edges
from drfuse_cli.training.losses import sobel
from drfuse_cli.training.quads import Quad
from drfuse_cli.training.scores import (
    correlation,
    difference_correlation,
    fidelity,
    shared_information,
)

_RESTORED, _EDGES, _ADDED = 8.0, 2.0, 20.0
_SCORES = {
    "CC": correlation,
    "SCD": difference_correlation,
    "VIF": fidelity,
    "Q_MI": shared_information,
}
_COUNTS = {"CC": 2.0, "SCD": 0.25, "VIF": 2.0, "Q_MI": 0.3}


def aimed(asked: Mapping[str, float]) -> dict[str, float]:
    """What each score counts, with what a run asks for (:func:`counted`)."""
    return counted(_COUNTS, asked)


def ycbcr(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Luminance and the two colour differences of RGB, as the published loss has them."""
    r, g, b = image.chunk(3, dim=1)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return y, 0.564 * (b - y), 0.713 * (r - y)


def fusion_loss(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """What step B of the alternating regularisation minimises; RGB ``B x 3 x H x W`` in 0..1.

    Contrast: the larger luminance; texture: the larger gradient of each direction; colour: the
    visible chroma.
    """
    (y, *chroma), (y_v, *chroma_v), (y_i, *_) = map(ycbcr, (fused, visible, infrared))
    contrast = F.l1_loss(y, torch.maximum(y_v, y_i))
    edges = torch.maximum(sobel(y_v).abs(), sobel(y_i).abs())
    texture = (sobel(y).abs() - edges).abs().mean((0, 2, 3)).sum()
    colour = sum(F.l1_loss(a, b) for a, b in zip(chroma, chroma_v, strict=True))
    return contrast + 6 * texture + 8 * colour


def refining_loss(made: Pictures, quad: Quad, aim: Mapping[str, float] = _COUNTS) -> Tensor:
    """Of the refined images against the clean pair; ``aim``: what each score counts."""
    clean = quad.visible_clean, quad.infrared_clean
    total = fusion_loss(made.fused, *clean)
    for restored, wanted in zip((made.visible, made.infrared), clean, strict=True):
        total = total + _RESTORED * F.l1_loss(restored, wanted)
        edges, sharp = (sobel(ycbcr(image)[0]) for image in (restored, wanted))
        total = total + _EDGES * F.l1_loss(edges, sharp)
    f, x1, x2 = (ycbcr(image)[0] for image in (made.fused, *clean))
    for name, weight in aim.items():
        total = total - weight * _SCORES[name](f, x1, x2)
    return total + _ADDED * added_edges(f, x1, x2)
