"""What a residual shows of an estimate's error, against errors that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.fft import idctn
from torch import Tensor

from drfuse_cli.config import Degradation
from drfuse_cli.operators.build import build_operator
from drfuse_cli.operators.discrepancy import error_spectrum
from drfuse_cli.operators.lift import lift
from drfuse_cli.operators.operator import Operator, natural_spectrum
from drfuse_cli.operators.rings import Rings
from drfuse_cli.samplers.correction import JointCorrection
from drfuse_cli.samplers.observation import Observation

SHAPE = (128, 160)
NOISE = 4 / 255
OPERATORS = {
    "noise": Degradation(),
    "blur": Degradation(blur_sigma=1.0),
    "pool": Degradation(sr_scale=2),
    "composite": Degradation(blur_sigma=1.0, sr_scale=2),
    "motion": Degradation(psf=np.eye(5) / 5),
}


def frequencies(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    rows, columns = (np.arange(n) / (2 * n) for n in shape)
    return np.hypot(rows[:, None], columns)


def coloured(seed: int, level: float, slope: float) -> Tensor:
    """An image with power ``level (0.1 / f)^slope``, flat below 0.01 cycles per pixel."""
    power = level * (frequencies().clip(0.01) / 0.1) ** -slope
    spectrum = np.random.default_rng(seed).standard_normal(SHAPE) * np.sqrt(power)
    return torch.from_numpy(idctn(spectrum, norm="ortho")).float()[None, None]


def shown(operator: Operator, x: Tensor, y: Tensor, noise: float = NOISE) -> Tensor:
    variance = torch.full((1, 1, 1, 1), noise**2)
    return error_spectrum(operator, operator.residual(x, operator.analyse(y)), variance)


def noisy(image: Tensor, seed: int, noise: float = NOISE) -> Tensor:
    return image + noise * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("slope", [0.0, 1.5])
@pytest.mark.parametrize("name", OPERATORS)
def test_an_error_that_is_there_is_found(name: str, slope: float) -> None:
    operator = build_operator(OPERATORS[name], SHAPE)
    truth, error = coloured(0, 0.01, 2.0), coloured(1, 0.004, slope)
    found = shown(operator, truth + error, noisy(operator.A(truth), 2))
    expected = 0.004 * (operator.frequency.clamp_min(0.01) / 0.1) ** -slope
    band = (operator.frequency > 0.05) & (operator.frequency < 0.2)
    ratio = (found[..., band].mean() / expected[band].mean()).item()
    assert 0.6 < ratio < 1.4


@pytest.mark.parametrize("name", OPERATORS)
def test_noise_alone_is_no_error(name: str) -> None:
    operator = build_operator(OPERATORS[name], SHAPE)
    truth = coloured(0, 0.01, 2.0)
    y = noisy(operator.A(truth), 3)
    found = shown(operator, truth, y)
    wrong = shown(operator, torch.zeros_like(truth), y)
    seen = operator.frequency < 0.15
    assert found[..., seen].mean() < 0.01 * wrong[..., seen].mean()


def test_an_estimate_that_knows_the_noise_shows_no_error() -> None:
    operator = build_operator(Degradation(blur_sigma=1.0), SHAPE)
    y = noisy(operator.A(coloured(0, 0.01, 2.2)), 4)
    variance = torch.full((1, 1, 1, 1), NOISE**2)
    lifted = lift(operator, y, variance)
    seen = operator.frequency < 0.2
    flat = y.mean().expand(1, 1, *SHAPE)
    assert (
        shown(operator, lifted, y)[..., seen].sum()
        < 0.02 * shown(operator, flat, y)[..., seen].sum()
    )


def test_each_image_has_its_own_error() -> None:
    operator = build_operator(Degradation(), SHAPE)
    truth = torch.zeros(2, 2, *SHAPE)
    errors = torch.cat([coloured(k, 0.001 * 4**k, 0.0) for k in range(4)]).reshape(2, 2, *SHAPE)
    together = shown(operator, errors, truth, 1 / 255)
    assert together.shape == errors.shape
    for i in range(2):
        for k in range(2):
            alone = shown(operator, errors[i, k][None, None], truth[:1, :1], 1 / 255)
            torch.testing.assert_close(together[i, k], alone[0, 0])
    means = together.mean((-2, -1)).flatten()
    assert (means.diff() > 0).all()


# ---- in the data term -----------------------------------------------------------------------


@pytest.mark.parametrize("name", OPERATORS)
def test_the_correction_takes_an_error_back_that_no_level_told_it_of(name: str) -> None:
    operator = build_operator(OPERATORS[name], SHAPE)
    truth, error = coloured(0, 0.01, 2.0), coloured(1, 0.002, 2.0)
    variance = torch.full((1, 1, 1, 1), NOISE**2)
    seen = Observation(operator, noisy(operator.A(truth), 2), variance, slice(0, 1))
    assert miss(after(seen, truth + error, 1.0), truth) < 0.5 * miss(truth + error, truth)


def test_what_the_blur_took_is_not_filled_with_noise() -> None:
    """Noise twice what is stated looks like an error everywhere; the scene's power bounds it."""
    operator = build_operator(Degradation(blur_sigma=3.0), SHAPE)
    truth = coloured(0, 0.01, 2.2)
    variance = torch.full((1, 1, 1, 1), NOISE**2)
    seen = Observation(operator, noisy(operator.A(truth), 2, 2 * NOISE), variance, slice(0, 1))
    lifted = seen.lift()
    assert miss(after(seen, lifted, 1.0), truth) < 2 * miss(lifted, truth)
    unbounded = replace(seen)
    unbounded.__dict__["prior"] = torch.full_like(seen.prior, torch.inf)
    assert miss(after(unbounded, lifted, 1.0), truth) > 100 * miss(lifted, truth)


def after(seen: Observation, x: Tensor, share: float) -> Tensor:
    no_level, flat = torch.tensor(-20.0), torch.tensor(0.0)
    return JointCorrection._data_term(x, seen, no_level, flat, torch.tensor(share))


def miss(x: Tensor, truth: Tensor) -> float:
    return float((x - truth).square().mean())


# ---- rings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 5), (33, 64), (128, 160)])
@pytest.mark.parametrize("scale", [1, 2])
def test_rings_take_any_size(shape: tuple[int, int], scale: int) -> None:
    whole = shape[0] * scale, shape[1] * scale
    frequency = torch.from_numpy(frequencies(whole)).float()
    rings = Rings.of(frequency[: shape[0], : shape[1]], frequency)
    assert float(rings.counts.sum()) == pytest.approx(shape[0] * shape[1], rel=0.6)
    means = rings.mean(torch.full((2, 3, *shape), 5.0))
    assert means.shape == (2, 3, len(rings.counts))
    torch.testing.assert_close(rings.spread(means), torch.full((2, 3, *whole), 5.0))


def test_rings_give_back_what_is_smooth_over_frequency() -> None:
    frequency = torch.from_numpy(frequencies()).float()
    rings = Rings.of(frequency, frequency)
    spectrum = natural_spectrum(frequency, SHAPE)
    back = rings.spread(rings.mean(spectrum))
    seen = (frequency > 0.06) & (frequency < 0.6)
    torch.testing.assert_close(back[seen], spectrum[seen], rtol=0.12, atol=0)
