"""What the fusion decoder is held against: the metrics of the published tables, and an anchor.

An absolute error to the ideal fusion asks for a smooth image where the sources leave doubt, and
every metric for a sharp one; a metric alone can be had by pictures that nobody wants to look at.
So the metrics lead, against the clean sources, and the ideal fusion holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from drfuse_cli.config import Task
from drfuse_cli.training.losses import WEIGHTS, gradient_loss, intensity_loss
from drfuse_cli.training.phase_score import phase_preservation
from drfuse_cli.training.scores import (
    contrast_preservation,
    gradient_preservation,
    nonlinear_correlation,
    shared_information,
    weighted_similarity,
)

_SCORES = {
    "Q_MI": shared_information,
    "Q_NCIE": nonlinear_correlation,
    "Q_G": gradient_preservation,
    "Q_P": phase_preservation,
    "Q_CB": contrast_preservation,
    "Q_W": weighted_similarity,
}


@dataclass(frozen=True)
class Aim:
    """What each score counts, and what the error to the ideal fusion and that of its gradient."""

    scores: dict[str, float]
    intensity: float = 4.0
    gradient: float = 1.0


_EVEN = {"Q_MI": 0.2, "Q_G": 1.5, "Q_P": 2.5, "Q_CB": 0.3, "Q_W": 1.0}
AIMS: dict[Task, Aim] = {
    "ivif": Aim(_EVEN),
    # Q_NCIE moves by thousandths.
    "medical": Aim(
        {"Q_MI": 0.3, "Q_NCIE": 60.0, "Q_G": 0.4, "Q_P": 0.6, "Q_CB": 1.5, "Q_W": 3.0},
        intensity=2.0,
    ),
    "multifocus": Aim(_EVEN),
}


def decoding_loss(f: Tensor, x1: Tensor, x2: Tensor, task: Task) -> Tensor:
    """Of a fused image against the clean sources, all ``B x 1 x H x W``."""
    aim, ideal = AIMS[task], WEIGHTS[task].ideal(x1, x2)
    total = aim.intensity * intensity_loss(f, ideal) + aim.gradient * gradient_loss(f, ideal)
    for name, weight in aim.scores.items():
        total = total + weight * (1 - _SCORES[name](f, x1, x2))
    return total
