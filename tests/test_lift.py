"""The coloured-prior lift: optimal, level measured from the data, safe on any input."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.fft
import torch
from torch import Tensor

from drfuse_cli.config import Degradation
from drfuse_cli.operators.build import border_coverage, build_operator
from drfuse_cli.operators.general import GeneralOperator
from drfuse_cli.operators.kernels import psf_response
from drfuse_cli.operators.lift import lift, prior_level, prior_variance
from drfuse_cli.operators.mirror import MirrorOperator
from drfuse_cli.operators.operator import Operator, natural_spectrum
from drfuse_cli.scenes import render

SHAPE = (72, 96)
CONTRAST = 4e-5
MOTION = np.array([[0, 0, 0, 0.05, 0.05], [0, 0, 0.6, 0.15, 0], [0.05, 0.1, 0, 0, 0]])
DEGRADATIONS = {
    "noise": Degradation(noise_std=14.0),
    "blur": Degradation(blur_sigma=2.0),
    "pool": Degradation(sr_scale=2, noise_std=4.0),
    "composite": Degradation(blur_sigma=2.0, sr_scale=4, noise_std=2.0),
    "motion": Degradation(psf=MOTION, noise_std=5.0),
    "motion, pool": Degradation(psf=MOTION, sr_scale=2, noise_std=2.0),
}


def spectrum(shape: tuple[int, int]) -> np.ndarray:
    """Power over the cosine basis of a scene whose contrast falls as frequency^-2.2."""
    rows, columns = (np.arange(n) / (2 * n) for n in shape)
    square = rows[:, None] ** 2 + columns**2 + (0.5 / max(shape)) ** 2
    return CONTRAST * square**-1.1


def scene(shape: tuple[int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """A random scene of just that power, about mid grey."""
    draws = np.random.default_rng(seed).standard_normal(shape)
    coefficients = draws * np.sqrt(spectrum(shape))
    coefficients[0, 0] = 0.5 * np.sqrt(shape[0] * shape[1])
    return np.asarray(scipy.fft.idctn(coefficients, norm="ortho"))


def observe(
    degradation: Degradation, x: np.ndarray, seed: int = 1
) -> tuple[Operator, Tensor, Tensor]:
    """The operator, the observation ``1 x 1 x h x w`` and its noise variance."""
    operator = build_operator(degradation, (x.shape[0], x.shape[1]), dtype=torch.float64)
    std = max(degradation.noise_std, 0.4) / 255
    clean = operator.A(torch.from_numpy(x)[None, None])
    noise = np.random.default_rng(seed).standard_normal(clean.shape)
    variance = torch.full((1, 1, 1, 1), std**2, dtype=torch.float64)
    return operator, clean + std * torch.from_numpy(noise), variance


def psnr(estimate: np.ndarray, truth: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((estimate - truth) ** 2)))


def prior_of(operator: Operator, y: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return prior_variance(operator, prior_level(operator, y, noise, operator.analyse(y)))


def test_the_prior_falls_with_frequency_and_is_finite_at_the_mean() -> None:
    power = natural_spectrum(torch.linspace(0, 0.7, 50), SHAPE)
    assert torch.isfinite(power).all()
    assert (power.diff() < 0).all()
    two = natural_spectrum(torch.tensor([0.2, 0.4]), SHAPE)
    assert float(two[0] / two[1]) == pytest.approx(2**2.2, rel=0.01)


@pytest.mark.parametrize("name", ["noise", "blur", "pool", "composite"])
def test_it_is_the_most_probable_image_under_the_prior(name: str) -> None:
    operator, y, noise = observe(DEGRADATIONS[name], scene())
    u = lift(operator, y, noise)
    prior = prior_of(operator, y, noise).numpy()
    # The gradient of |A u - y|^2 / s2 + |u - mean|^2_C vanishes there.
    deviation = scipy.fft.dctn((u - y.mean()).numpy(), axes=(-2, -1), norm="ortho") / prior
    pull = scipy.fft.idctn(deviation, axes=(-2, -1), norm="ortho")
    push = operator.adjoint((operator.A(u) - y) / noise).numpy()
    assert np.abs(push + pull).max() < 1e-5 * np.abs(push).max()


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_the_contrast_of_the_scene_is_measured_through_the_degradation(name: str) -> None:
    ratios = []
    for seed in range(4):
        operator, y, noise = observe(DEGRADATIONS[name], scene(seed=seed), seed + 10)
        level = prior_level(operator, y, noise, operator.analyse(y))
        ratios.append(float(level) / CONTRAST)
    assert np.mean(ratios) == pytest.approx(0.55, rel=0.25)


def test_contrast_scales_the_prior_by_its_square() -> None:
    operator, y, _ = observe(Degradation(blur_sigma=1.0), scene())
    none = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    once, twice = (prior_of(operator, factor * y, none) for factor in (1.0, 2.0))
    torch.testing.assert_close(twice, 4 * once)


@pytest.mark.parametrize(
    ("name", "gain"),
    [("noise", 6.0), ("blur", 2.0), ("pool", 0.2), ("composite", 0.0), ("motion", 1.5)],
)
def test_it_is_nearly_as_good_as_knowing_the_contrast(name: str, gain: float) -> None:
    x = scene()
    operator, y, noise = observe(DEGRADATIONS[name], x)
    enlarged = cv2.resize(y[0, 0].numpy(), x.shape[::-1], interpolation=cv2.INTER_CUBIC)
    restored = psnr(lift(operator, y, noise)[0, 0].numpy(), x)
    assert restored > psnr(enlarged, x) + gain
    mean = y.mean().expand(1, 1, *x.shape)
    known = CONTRAST * natural_spectrum(operator.frequency, SHAPE)
    assert restored > psnr(operator.prox(mean, y, known, noise)[0, 0].numpy(), x) - 0.3


def test_a_kernel_in_closed_form_and_iterated_gives_the_same_image() -> None:
    psf = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 8
    closed = MirrorOperator(psf_response(psf, *SHAPE))
    iterated = GeneralOperator(psf, SHAPE, dtype=torch.float64)
    _, y, noise = observe(Degradation(psf=psf, noise_std=5.0), scene())
    difference = lift(closed, y, noise) - lift(iterated, y, noise)
    assert 255 * float(difference.abs().max()) < 1


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_turning_the_observation_round_turns_the_image_round(name: str) -> None:
    degradation = DEGRADATIONS[name]
    operator, y, noise = observe(degradation, scene())
    turned = degradation
    if degradation.psf is not None:
        turned = Degradation(psf=degradation.psf[::-1, ::-1].copy(), sr_scale=degradation.sr_scale)
    other = build_operator(turned, SHAPE, dtype=torch.float64)
    back = lift(other, y.flip(-1, -2), noise).flip(-1, -2)
    torch.testing.assert_close(back, lift(operator, y, noise), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_flat_observation_stays_flat(name: str, value: float) -> None:
    operator, y, noise = observe(DEGRADATIONS[name], scene())
    flat = lift(operator, torch.full_like(y, value), noise)
    assert float((flat - value).abs().max()) < 1e-9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (2, 2), (3, 5)])
@pytest.mark.parametrize("degradation", [*DEGRADATIONS.values(), Degradation()])
def test_small_images_come_out_finite_and_in_range(
    shape: tuple[int, int], degradation: Degradation, dtype: torch.dtype
) -> None:
    scale = degradation.sr_scale
    operator = build_operator(degradation, (shape[0] * scale, shape[1] * scale), dtype=dtype)
    y = torch.from_numpy(np.random.default_rng(0).random((1, 2, *shape))).to(dtype)
    for variance in (1e-10, 1e-3, 1.0):
        u = lift(operator, y, torch.full((1, 1, 1, 1), variance, dtype=dtype))
        assert u.shape == (1, 2, shape[0] * scale, shape[1] * scale)
        assert u.dtype == dtype
        assert torch.isfinite(u).all()
        if variance == 1.0:
            assert float((u - y.mean((-2, -1), keepdim=True)).abs().max()) < 0.5


def test_noise_that_drowns_the_scene_leaves_its_mean() -> None:
    operator, y, _ = observe(Degradation(), scene())
    u = lift(operator, y, torch.full((1, 1, 1, 1), 100.0, dtype=torch.float64))
    assert float((u - y.mean()).abs().max()) < 1e-4


def test_without_noise_the_observation_is_explained_exactly() -> None:
    operator, y, _ = observe(Degradation(sr_scale=4), scene())
    u = lift(operator, y, torch.full((1, 1, 1, 1), 1e-10, dtype=torch.float64))
    assert float((operator.A(u) - y).abs().max()) < 1e-6


@pytest.mark.parametrize("name", ["noise", "composite", "motion"])
def test_images_and_channels_are_lifted_on_their_own(name: str) -> None:
    operator, _, _ = observe(DEGRADATIONS[name], scene())
    rng = np.random.default_rng(3)
    y = torch.from_numpy(rng.random((3, 2, *operator.out_shape))) * torch.tensor(
        [0.1, 0.5, 1.0], dtype=torch.float64
    ).reshape(3, 1, 1, 1)
    noise = torch.tensor([1e-4, 1e-3, 1e-2], dtype=torch.float64).reshape(3, 1, 1, 1)
    together = lift(operator, y, noise)
    for image, channel in ((0, 0), (1, 1), (2, 0)):
        alone = lift(operator, y[image, channel][None, None], noise[image][None])
        torch.testing.assert_close(together[image, channel], alone[0, 0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [1, 4])
def test_borders_blurred_into_black_are_compensated(scale: int) -> None:
    x = scene()
    sigma = 2.0
    blurred = cv2.GaussianBlur(x, (17, 17), sigma, borderType=cv2.BORDER_CONSTANT)
    pooled = blurred.reshape(SHAPE[0] // scale, scale, SHAPE[1] // scale, scale).mean((1, 3))
    degradation = Degradation(blur_sigma=sigma, sr_scale=scale, zero_border=True)
    operator = build_operator(degradation, SHAPE, dtype=torch.float64)
    noise = torch.full((1, 1, 1, 1), (0.4 / 255) ** 2, dtype=torch.float64)
    inside = pooled / border_coverage(degradation, SHAPE)
    naive, mended = (
        psnr(lift(operator, torch.from_numpy(y)[None, None], noise)[0, 0].numpy(), x)
        for y in (pooled, inside)
    )
    assert mended > naive + (6 if scale == 1 else 3)


@pytest.mark.parametrize("length", [9, 17, 25])
def test_a_long_shake_is_lifted(length: int) -> None:
    """It leaves next to nothing of some coefficients, whose power is all noise."""
    x = render("street-day", 256, 192, 0)[0].pixels / np.float64(255)
    shake = Degradation(noise_std=1.0, psf=np.eye(length) / length)
    operator, y, noise_var = observe(shake, x)
    lifted = lift(operator, y, noise_var)[0, 0].numpy()
    assert psnr(lifted, x) > psnr(y[0, 0].numpy(), x) + 1


@pytest.mark.parametrize("degradation", [Degradation(noise_std=14.0), Degradation(blur_sigma=2.0)])
def test_a_mosaic_of_mirror_images_is_lifted_like_its_part(degradation: Degradation) -> None:
    """Three of four coefficients are zero there, and so is their median."""
    part = scene()
    whole = np.block([[part, part[:, ::-1]], [part[::-1], part[::-1, ::-1]]])
    errors = []
    for x in (part, whole):
        operator, y, noise_var = observe(degradation, x)
        errors.append(psnr(lift(operator, y, noise_var)[0, 0].numpy(), x))
    assert errors[1] > errors[0] - 0.5
