"""Fusion metrics that a gradient can follow: the values of `drfuse_cli.metrics`, and gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from drfuse_cli.metrics import score
from drfuse_cli.training import scores
from drfuse_cli.training.phase_score import phase_preservation

Score = Callable[[Tensor, Tensor, Tensor], Tensor]


def in_256_levels(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    return scores.shared_information(f, x1, x2, levels=256)


def correlation_in_256_levels(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    return scores.nonlinear_correlation(f, x1, x2, levels=256)


SCORES: dict[str, tuple[Score, float]] = {
    "Q_W": (scores.weighted_similarity, 1e-5),
    "Q_G": (scores.gradient_preservation, 1e-3),
    "Q_MI": (in_256_levels, 1e-4),
    "Q_NCIE": (correlation_in_256_levels, 1e-5),
    "Q_P": (phase_preservation, 1e-4),
    "Q_CB": (scores.contrast_preservation, 1e-3),
    "CC": (scores.correlation, 1e-5),
    "SCD": (scores.difference_correlation, 1e-5),
    "VIF": (scores.fidelity, 1e-4),
}


def waves(seed: int, height: int = 90, width: int = 110) -> np.ndarray:
    """A picture over the whole range, in a black frame: what lies outside is black to metrics."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    wave = np.sin(x / rng.uniform(3, 9)) * np.cos(y / rng.uniform(3, 9))
    wave += rng.normal(0, 0.1, x.shape)
    low, high = wave.min(), wave.max()
    inside = np.round(255 * (wave - low) / (high - low)).astype(np.uint8)
    inside[:2] = inside[-2:] = 0
    inside[:, :2] = inside[:, -2:] = 0
    return inside


def tensors(*images: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(image.astype(np.float32))[None, None] / 255 for image in images]


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_those_of_the_metric(name: str) -> None:
    a, b = waves(1), waves(2)
    f = np.where(a > b, a, b)
    f[20, 20] = 255
    value = score(a, b, f, name)[name].value
    assert value is not None
    found, tolerance = SCORES[name]
    assert float(found(*tensors(f, a, b))) == pytest.approx(value, abs=tolerance)


@pytest.mark.parametrize("name", SCORES)
def test_following_the_gradient_raises_the_score(name: str) -> None:
    x1, x2 = tensors(waves(1), waves(2))
    found, _ = SCORES[name]
    f = (0.9 * (x1 + x2) / 2 + 0.0317).requires_grad_()  # between grey levels
    before = found(f, x1, x2)
    before.backward()  # type: ignore[no-untyped-call]
    assert f.grad is not None
    assert torch.isfinite(f.grad).all()
    with torch.no_grad():
        raised = found(f + 1e-4 * f.grad.sign(), x1, x2)
    assert raised > before


@pytest.mark.parametrize("name", SCORES)
def test_flat_images_have_finite_scores_and_gradients(name: str) -> None:
    flat = torch.full((2, 1, 64, 64), 0.5)
    f = flat.clone().requires_grad_()
    found = SCORES[name][0](f, flat, torch.zeros_like(flat))
    found.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(found)
    assert f.grad is not None
    assert torch.isfinite(f.grad).all()
