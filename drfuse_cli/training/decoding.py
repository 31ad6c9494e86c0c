"""What the fusion decoder is held against: the metrics of the published tables, and an anchor.

An absolute error to the ideal fusion asks for a smooth image where the sources leave doubt, and
every metric for a sharp one; a metric alone can be had by pictures that nobody wants to look at.
So the metrics lead, against the clean sources, the ideal fusion holds, and edges that neither
source has are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from drfuse_cli.config import Task
from drfuse_cli.training.aims import counted
from drfuse_cli.training.losses import gradient_loss, intensity_loss
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
    """What each score counts, the errors to the ideal fusion and to its gradient, added edges."""

    scores: dict[str, float]
    intensity: float = 4.0
    gradient: float = 1.0
    added: float = 25.0


_EVEN = {"Q_MI": 0.1, "Q_G": 2.0, "Q_P": 2.5, "Q_CB": 1.0, "Q_W": 0.8}
AIMS: dict[Task, Aim] = {
    "ivif": Aim(_EVEN),
    # Q_NCIE moves by thousandths.
    "medical": Aim(
        {"Q_MI": 0.8, "Q_NCIE": 90.0, "Q_G": 0.3, "Q_P": 0.5, "Q_CB": 1.0, "Q_W": 3.5},
        intensity=1.5,
        added=0.0,  # none are seen there
    ),
    # What is right is known there, and most pairs are sharp and clean but for their focus.
    "multifocus": Aim({"Q_G": 0.3}, intensity=30.0, gradient=6.0, added=0.0),
}


def added_edges(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """How much neighbouring pixels of ``f`` differ by more than in either source, the mean.

    Patterns from pixel to pixel are what the scores cannot see: Sobel's kernel skips a pixel,
    and the filters of Q_P and Q_CB end before.
    """
    total = f.new_zeros(())
    for axis in (-2, -1):
        of_f, of_1, of_2 = (x.diff(dim=axis).abs() for x in (f, x1, x2))
        total = total + (of_f - torch.maximum(of_1, of_2)).clamp_min(0).mean()
    return total


def aimed(task: Task, asked: Mapping[str, float]) -> Aim:
    """The aim of a task, with the counts of scores that a run asks for (:func:`counted`)."""
    aim = AIMS[task]
    return replace(aim, scores=counted(aim.scores, asked))


def decoding_loss(f: Tensor, x1: Tensor, x2: Tensor, ideal: Tensor, aim: Aim) -> Tensor:
    """Of a fused image against clean sources and the ideal one, all ``B x 1 x H x W``."""
    total = aim.intensity * intensity_loss(f, ideal) + aim.gradient * gradient_loss(f, ideal)
    total = total + aim.added * added_edges(f, x1, x2)
    for name, weight in aim.scores.items():
        total = total + weight * (1 - _SCORES[name](f, x1, x2))
    return total
