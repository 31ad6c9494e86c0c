"""One list of operators; every property holds for every entry, and rejects a wrong one.

Each operator is compared with a dense matrix made here in another way: symmetric padding,
explicit sums over the kernel, block means.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
import scipy.fft
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from drfuse_cli.config import Degradation
from drfuse_cli.operators import cosine
from drfuse_cli.operators.build import (
    border_coverage,
    build_operator,
    equivalent_sigma,
    gaussian_operator,
)
from drfuse_cli.operators.general import GeneralOperator
from drfuse_cli.operators.kernels import psf_response
from drfuse_cli.operators.mirror import MirrorOperator
from drfuse_cli.operators.operator import Operator

Shape = tuple[int, int]

# ---- the independent model ------------------------------------------------------------------


def dense_matrix(psf: np.ndarray, shape: Shape, scale: int) -> np.ndarray:
    """``m x n``: convolution with mirrored borders, then block means, on every basis image."""
    height, width = shape
    basis = np.eye(height * width).reshape(-1, height, width)
    ry, rx = psf.shape[0] // 2, psf.shape[1] // 2
    padded = np.pad(basis, ((0, 0), (ry, ry), (rx, rx)), mode="symmetric")
    blurred = np.zeros_like(basis)
    for a in range(psf.shape[0]):
        for b in range(psf.shape[1]):
            top, left = 2 * ry - a, 2 * rx - b
            blurred += psf[a, b] * padded[:, top : top + height, left : left + width]
    blocks = blurred.reshape(-1, height // scale, scale, width // scale, scale)
    return blocks.mean((2, 4)).reshape(len(basis), -1).T


def dense_cosines(n: int) -> np.ndarray:
    """The orthonormal DCT-II, one cosine a row."""
    rows = np.array([[math.cos(math.pi * p * (2 * i + 1) / (2 * n)) for i in range(n)]
                     for p in range(n)])  # fmt: skip
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def power_law(frequency: np.ndarray) -> np.ndarray:
    """A coloured error: variance 0.05 at the mean, 30 times less at the finest detail."""
    return 0.05 / (1 + (frequency / 0.1) ** 2) ** 0.9


def dense_covariance(shape: Shape) -> np.ndarray:
    """``C`` of errors whose variance over radial frequency is :func:`power_law`."""
    basis = np.kron(dense_cosines(shape[0]), dense_cosines(shape[1]))
    rows, columns = (np.arange(n) / (2 * n) for n in shape)
    frequency = np.sqrt(rows[:, None] ** 2 + columns[None, :] ** 2)
    return basis.T @ (power_law(frequency).reshape(-1, 1) * basis)


def gaussian_psf(sigma: float) -> np.ndarray:
    radius = math.ceil(4 * sigma)
    k = np.arange(-radius, radius + 1)
    taps = np.exp(-(k**2) / (2 * sigma**2)) if sigma else np.ones(1)
    return np.outer(taps, taps) / taps.sum() ** 2


# ---- the list -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An operator, and the kernels (one an image of the batch) it is said to apply."""

    name: str
    operator: Operator
    psfs: tuple[np.ndarray, ...]

    @property
    def slack(self) -> float:
        """Agreement asked for: closed forms to 1e-10; converged iterations a little less."""
        return 1e-8 if isinstance(self.operator, GeneralOperator) else 1e-10

    @property
    def tiny(self) -> float:
        """A noise variance near zero; conjugate gradients need a condition number below 1e6."""
        iterated = isinstance(self.operator, GeneralOperator)
        return 1e-5 if iterated and self.singular_values.min() < 0.05 else 1e-10

    @cached_property
    def dense(self) -> np.ndarray:
        """``B x m x n``."""
        operator = self.operator
        return np.stack([dense_matrix(p, operator.shape, operator.scale) for p in self.psfs])

    @cached_property
    def singular_values(self) -> np.ndarray:
        return np.linalg.svd(self.dense, compute_uv=False)

    def images(self, seed: int = 0, channels: int = 2) -> Tensor:
        """Images in 0..1, ``B x C x H x W``."""
        rng = np.random.default_rng(seed)
        return torch.from_numpy(rng.random((len(self.psfs), channels, *self.operator.shape)))

    def observations(self, seed: int = 1, channels: int = 2) -> Tensor:
        rng = np.random.default_rng(seed)
        return torch.from_numpy(rng.random((len(self.psfs), channels, *self.operator.out_shape)))

    def noise(self, first: float) -> Tensor:
        """Noise variance ``B x 1 x 1 x 1``, another for every image."""
        levels = first * torch.logspace(0, 1, len(self.psfs), dtype=torch.float64)
        return levels[:, None, None, None]

    def apply(self, matrix: np.ndarray, x: Tensor, shape: Shape) -> np.ndarray:
        """``B x m x n`` matrices times ``B x C x H x W`` images."""
        flat = x.flatten(-2).numpy()
        return np.einsum("bmn,bcn->bcm", matrix, flat).reshape(*flat.shape[:2], *shape)


def matrix_of(function: Callable[[Tensor], Tensor], batch: int, shape: Shape) -> np.ndarray:
    """The matrix ``B x m x n`` of a linear function of ``B x C x H x W`` images."""
    basis = torch.eye(shape[0] * shape[1], dtype=torch.float64).reshape(1, -1, *shape)
    columns = function(basis.expand(batch, -1, -1, -1))
    return columns.flatten(-2).transpose(-1, -2).numpy()


def gaussian(name: str, sigmas: tuple[float, ...], shape: Shape, scale: int = 1) -> Case:
    operator = gaussian_operator(
        torch.tensor(sigmas, dtype=torch.float64), shape, scale, dtype=torch.float64
    )
    return Case(name, operator, tuple(gaussian_psf(sigma) for sigma in sigmas))


def symmetric(name: str, psf: np.ndarray, shape: Shape, scale: int = 1) -> Case:
    return Case(name, MirrorOperator(psf_response(psf, *shape), scale), (psf,))


def general(name: str, psf: np.ndarray, shape: Shape, scale: int = 1, iterations: int = 40) -> Case:
    operator = GeneralOperator(psf, shape, scale, dtype=torch.float64, iterations=iterations)
    return Case(name, operator, (psf,))


ELLIPSE = np.array([[0, 1, 2, 1, 0], [1, 3, 4, 3, 1], [0, 1, 2, 1, 0]]) / 20
MOTION = np.array([[0, 0, 0, 0.05, 0.05], [0, 0, 0.6, 0.15, 0], [0.05, 0.1, 0, 0, 0]])
# Its weight lies two pixels off the centre: what it moves past the border is nearly lost.
SHIFT = np.array([[0, 0, 0, 0.2, 0.6], [0, 0.1, 0.1, 0, 0], [0, 0, 0, 0, 0]])
TRAIL = np.array([[0.55, 0.2, 0.1, 0.05, 0.04, 0.03, 0.03]])

CASES = [
    gaussian("identity", (0.0,), (6, 8)),
    gaussian("identity 1x1", (0.0,), (1, 1)),
    gaussian("gaussian 0.4", (0.4,), (6, 8)),
    gaussian("gaussian 1.3, odd", (1.3,), (7, 5)),
    gaussian("gaussian 3, wider than the image", (3.0,), (5, 8)),
    gaussian("gaussian 2, one pixel", (2.0,), (1, 1)),
    gaussian("gaussian 0.7, 1xN", (0.7,), (1, 11)),
    gaussian("gaussian 0.7, Nx1", (0.7,), (10, 1)),
    gaussian("batch of gaussians", (0.0, 0.6, 2.0), (6, 7)),
    symmetric("symmetric PSF, odd", ELLIPSE, (7, 9)),
    symmetric("symmetric PSF, 1xN", ELLIPSE, (1, 8)),
    gaussian("pool 2", (0.0,), (6, 8), 2),
    gaussian("pool 3", (0.0,), (9, 6), 3),
    gaussian("pool 4", (0.0,), (8, 8), 4),
    gaussian("pool 4 to one pixel", (0.0,), (4, 4), 4),
    gaussian("gaussian 1.3, pool 2", (1.3,), (6, 10), 2),
    gaussian("gaussian 0.8, pool 3, odd", (0.8,), (9, 9), 3),
    gaussian("gaussian 2, pool 4", (2.0,), (8, 12), 4),
    gaussian("batch of gaussians, pool 2", (0.0, 0.6, 2.0), (8, 6), 2),
    symmetric("symmetric PSF, pool 2", ELLIPSE, (8, 6), 2),
    symmetric("symmetric PSF, pool 3", ELLIPSE, (6, 9), 3),
    general("motion", MOTION, (6, 8)),
    general("motion, odd", MOTION, (7, 5)),
    general("motion, 1xN", MOTION, (1, 9)),
    general("motion, Nx1", MOTION, (9, 1)),
    general("motion, one pixel", MOTION, (1, 1)),
    general("shift", SHIFT, (6, 5), iterations=150),
    general("shift, pool 2", SHIFT, (6, 8), 2),
    general("motion longer than the image", TRAIL, (4, 3)),
    general("motion, pool 2", MOTION, (6, 8), 2),
    general("motion, pool 3, odd", MOTION, (9, 3), 3),
    general("motion, pool 4", MOTION, (4, 8), 4),
    general("symmetric PSF, iterated", ELLIPSE, (6, 5)),
]

# ---- the properties -------------------------------------------------------------------------


def close(actual: object, desired: object, slack: float) -> None:
    np.testing.assert_allclose(actual, desired, rtol=0, atol=slack)


def adjointness(case: Case) -> None:
    x, r = case.images(), case.observations()
    left = (case.operator.A(x) * r).sum((-2, -1))
    right = (x * case.operator.adjoint(r)).sum((-2, -1))
    close(left, right, 1e-10)


def agrees_with_the_dense_matrix(case: Case) -> None:
    operator, batch = case.operator, len(case.psfs)
    close(matrix_of(operator.A, batch, operator.shape), case.dense, 1e-10)


def pools_what_its_blur_gives(case: Case) -> None:
    blurred = case.operator.blur.A(case.images())
    close(case.operator.A(case.images()), avg_pool2d(blurred, case.operator.scale), case.slack)


def keeps_range_and_constants(case: Case) -> None:
    y = case.operator.A(case.images())
    assert y.shape[-2:] == case.operator.out_shape
    assert y.min() >= -1e-12
    assert y.max() <= 1 + 1e-12
    close(case.operator.A(torch.ones_like(case.images())), 1.0, 1e-12)


def _dense_prox(case: Case, x: Tensor, y: Tensor, C: np.ndarray, noise: Tensor) -> np.ndarray:
    """``x + C A'(A C A' + s2 I)^-1 (y - A x)`` by linear algebra."""
    A, operator = case.dense, case.operator
    residual = y.numpy() - case.apply(A, x, operator.out_shape)
    gram = A @ C @ A.transpose(0, 2, 1) + noise[:, 0].numpy() * np.eye(A.shape[1])
    gain = C @ A.transpose(0, 2, 1) @ np.linalg.inv(gram)
    return x.numpy() + case.apply(gain, torch.from_numpy(residual), operator.shape)


def prox_is_the_formula_for_white_errors(case: Case) -> None:
    x, y, noise = case.images(), case.observations(), case.noise(1e-3)
    white = 0.04 * np.eye(x[0, 0].numel())
    expected = _dense_prox(case, x, y, white, noise)
    close(case.operator.prox(x, y, 0.04, noise), expected, case.slack)


def prox_is_the_formula_for_coloured_errors(case: Case) -> None:
    x, y, noise = case.images(), case.observations(), case.noise(1e-3)
    variance = torch.from_numpy(power_law(case.operator.frequency.numpy()))
    expected = _dense_prox(case, x, y, dense_covariance(case.operator.shape), noise)
    close(case.operator.prox(x, y, variance, noise), expected, case.slack)


def prox_leaves_what_fits(case: Case) -> None:
    x = case.images()
    y = torch.from_numpy(case.apply(case.dense, x, case.operator.out_shape))
    for noise in (1e-6, 1.0):
        close(case.operator.prox(x, y, 1.0, case.noise(noise)), x, 1e-9)


def prox_projects_as_noise_vanishes(case: Case) -> None:
    """A P = y and P P = P, up to what the remaining noise explains of each singular value."""
    x, tiny, s = case.images(), case.tiny, case.singular_values
    truth = case.images(seed=5)
    y = torch.from_numpy(case.apply(case.dense, truth, case.operator.out_shape))
    noise = torch.full((len(x), 1, 1, 1), tiny, dtype=torch.float64)
    once = case.operator.prox(x, y, 1.0, noise)
    twice = case.operator.prox(once, y, 1.0, noise)
    far = np.linalg.norm(truth - x)
    explained = case.apply(case.dense, once, case.operator.out_shape)
    close(explained, y, case.slack + far * (s * tiny / (s**2 + tiny)).max())
    close(twice, once, case.slack + far * (s**2 * tiny / (s**2 + tiny) ** 2).max())


def implied_inverse_obeys_penrose(case: Case) -> None:
    """The four laws; 1 and 2 up to the remaining noise, 3 and 4 whatever it is."""
    operator, tiny, s = case.operator, case.tiny, case.singular_values
    zero = torch.zeros(1, 1, *operator.shape, dtype=torch.float64)
    noise = torch.full((len(case.psfs), 1, 1, 1), tiny, dtype=torch.float64)
    A = case.dense
    G = matrix_of(
        lambda y: operator.prox(zero.expand(*y.shape[:2], -1, -1), y, 1.0, noise),
        len(A), operator.out_shape,
    )  # fmt: skip
    assert np.isfinite(G).all()
    largest = np.linalg.norm(G, ord=2, axis=(1, 2)).max()
    rounding = case.slack * max(1, largest)
    close(A @ G @ A, A, rounding + (s * tiny / (s**2 + tiny)).max())
    left, right = G @ A @ G / largest, G / largest
    close(left, right, rounding + (s * tiny / (s**2 + tiny) ** 2).max() / largest)
    close(A @ G, (A @ G).transpose(0, 2, 1), rounding)
    close(G @ A, (G @ A).transpose(0, 2, 1), rounding)


def noise_gain_is_bounded(case: Case) -> None:
    """No noise is amplified beyond rho / (2 sigma), a bound that some image attains."""
    operator, rho = case.operator, 0.2
    zero = torch.zeros(1, 1, *operator.shape, dtype=torch.float64)
    for sigma in (rho / operator.scale, 0.02):
        noise = torch.full((len(case.psfs), 1, 1, 1), sigma**2, dtype=torch.float64)
        G = matrix_of(
            lambda y, noise=noise: operator.prox(
                zero.expand(*y.shape[:2], -1, -1), y, rho**2, noise
            ),
            len(case.psfs), operator.out_shape,
        )  # fmt: skip
        assert np.isfinite(G).all()
        gain = np.linalg.norm(G, ord=2, axis=(1, 2))
        assert gain.max() <= rho / (2 * sigma) * (1 + 1e-9)
        if sigma == rho / operator.scale:  # the mean has just this singular value
            close(gain / (rho / (2 * sigma)), 1.0, 0.35)


def residual_never_grows(case: Case) -> None:
    operator, x, y = case.operator, case.images(), case.observations()
    coloured = torch.from_numpy(power_law(operator.frequency.numpy()))
    precision = np.linalg.inv(dense_covariance(operator.shape))

    def size(x: Tensor) -> np.ndarray:
        r = case.apply(case.dense, x, operator.out_shape) - y.numpy()
        return np.linalg.norm(r, axis=(-2, -1))

    def cost(z: Tensor, noise: Tensor) -> float:
        """``|z - x|^2_C + |A z - y|^2 / s2``, which the correction minimises over ``z``."""
        step = (z - x).flatten(-2).numpy()
        unexplained = size(z) ** 2 / noise[..., 0, 0].numpy()
        return float((step @ precision * step).sum() + unexplained.sum())

    for level in (1e-4, 1e-2, 10.0):
        noise = case.noise(level)
        assert (size(operator.prox(x, y, 0.04, noise)) <= size(x) + 1e-9).all()
        assert cost(operator.prox(x, y, coloured, noise), noise) <= cost(x, noise) * (1 + 1e-9)


PROPERTIES = [
    adjointness,
    agrees_with_the_dense_matrix,
    pools_what_its_blur_gives,
    keeps_range_and_constants,
    prox_is_the_formula_for_white_errors,
    prox_is_the_formula_for_coloured_errors,
    prox_leaves_what_fits,
    prox_projects_as_noise_vanishes,
    implied_inverse_obeys_penrose,
    noise_gain_is_bounded,
    residual_never_grows,
]
by_name = pytest.mark.parametrize("check", PROPERTIES, ids=lambda p: p.__name__)


@by_name
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_property(case: Case, check: Callable[[Case], None]) -> None:
    check(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_known_of_images_already_changes_nothing(case: Case) -> None:
    """An observation looked at before, and an image so flat that one number says it."""
    operator, y, noise = case.operator, case.observations(), case.noise(1e-3)
    flat = case.images().mean((-2, -1), keepdim=True)
    whole = flat.expand(*flat.shape[:2], *operator.shape)
    expected = operator.prox(whole, y, 0.04, noise)
    close(operator.prox(flat, y, 0.04, noise, operator.analyse(y)), expected, 1e-10)
    residual = operator.residual(flat, operator.analyse(y))
    close(residual, operator.analyse(y - operator.A(whole)), 1e-9)
    close(operator.correct(flat, residual, 0.04, noise), expected, 1e-10)


# ---- wrong operators ------------------------------------------------------------------------


class Wrong(Operator):
    """Shifted by a pixel, a tenth too bright, and corrected two and a half times as far."""

    def __init__(self, right: Operator) -> None:
        self.right = right
        self.shape, self.out_shape, self.scale = right.shape, right.out_shape, right.scale

    @property
    def frequency(self) -> Tensor:
        return self.right.frequency

    @property
    def blur(self) -> Operator:
        return self.right.blur

    def A(self, x: Tensor) -> Tensor:
        return 1.1 * self.right.A(x).roll(1, -1)

    def adjoint(self, r: Tensor) -> Tensor:
        return self.right.adjoint(r)

    def gram(self, variance: Tensor | float) -> Tensor:
        return self.right.gram(variance)

    @property
    def observed_frequency(self) -> Tensor:
        return self.right.observed_frequency

    def power(self, analysed: Tensor) -> Tensor:
        return self.right.power(analysed)

    def analyse(self, y: Tensor) -> Tensor:
        return self.right.analyse(y.roll(1, -1))

    def residual(self, x: Tensor, analysed: Tensor) -> Tensor:
        return self.right.residual(x, analysed)

    def correct(
        self, x: Tensor, residual: Tensor, variance: Tensor | float, noise_var: Tensor
    ) -> Tensor:
        return x + 2.5 * (self.right.correct(x, residual, variance, noise_var) - x)


@by_name
@pytest.mark.parametrize("name", ["identity", "batch of gaussians, pool 2", "motion, pool 2"])
def test_every_property_rejects_a_wrong_operator(name: str, check: Callable[[Case], None]) -> None:
    right = next(case for case in CASES if case.name == name)
    check(right)
    with pytest.raises(AssertionError):
        check(Case("wrong", Wrong(right.operator), right.psfs))


class AliasWithoutSign(MirrorOperator):
    """Folds odd aliases with a positive sign, and unfolds them with the right one."""

    def _fold(self, spectrum: Tensor, power: int = 1) -> Tensor:
        return super()._fold(spectrum if power == 2 else spectrum * self.signs, power)

    @cached_property
    def signs(self) -> Tensor:
        """-1 where a coefficient on its own would fold to a negative one."""
        height, width = self.shape
        each = torch.eye(height * width, dtype=torch.float64).reshape(-1, height, width)
        folded = super()._fold(each).sum((-2, -1))
        return torch.where(folded < 0, -1.0, 1.0).to(folded).reshape(height, width)


class AdjointUnflipped(GeneralOperator):
    """Moves the adjoint the same way as the image, not back."""

    def adjoint(self, r: Tensor) -> Tensor:
        flipped = GeneralOperator(MOTION[::-1, ::-1], self.shape, dtype=torch.float64)
        return flipped.adjoint(r)


class PoolWithoutGain(MirrorOperator):
    """Forgets that the mean of s x s pixels divides the power by s squared."""

    def gram(self, variance: Tensor | float) -> Tensor:
        return super().gram(variance) * self.scale**2


class OnePixelOff(GeneralOperator):
    """Takes the pixel beside the centre of the kernel for its centre."""

    def A(self, x: Tensor) -> Tensor:
        return super().A(x.roll(1, -1))


_RESPONSE = gaussian_operator(torch.tensor([0.8]).double(), (8, 6), dtype=torch.float64).response
_PSF = (gaussian_psf(0.8),)
_FORMULAS = {prox_is_the_formula_for_white_errors, prox_is_the_formula_for_coloured_errors}
_LIMITS = {prox_projects_as_noise_vanishes, implied_inverse_obeys_penrose}
MISTAKES = [
    (
        Case("alias sign", AliasWithoutSign(_RESPONSE, 2), _PSF),
        {adjointness, agrees_with_the_dense_matrix, prox_leaves_what_fits, *_FORMULAS, *_LIMITS},
    ),
    (
        Case("adjoint", AdjointUnflipped(MOTION, (6, 8), dtype=torch.float64), (MOTION,)),
        {adjointness, implied_inverse_obeys_penrose, *_FORMULAS},
    ),
    (
        Case("gain", PoolWithoutGain(_RESPONSE, 2), _PSF),
        {*_FORMULAS, *_LIMITS},
    ),
    (
        Case("centre", OnePixelOff(MOTION, (6, 8), dtype=torch.float64), (MOTION,)),
        {adjointness, agrees_with_the_dense_matrix, prox_leaves_what_fits, *_FORMULAS},
    ),
]


@pytest.mark.parametrize(("case", "rejecting"), MISTAKES, ids=[m[0].name for m in MISTAKES])
def test_one_plausible_mistake_is_found(case: Case, rejecting: set[Callable[[Case], None]]) -> None:
    found = set()
    for check in PROPERTIES:
        try:
            check(case)
        except AssertionError:
            found.add(check)
    assert found >= rejecting, sorted(check.__name__ for check in rejecting - found)


# ---- iterations, precision ------------------------------------------------------------------


def long_motion(length: int = 9) -> np.ndarray:
    """Motion along a slanting line, slower at one end."""
    psf = np.zeros((length, length))
    for t in np.linspace(-1, 1, 8 * length):
        row, column = (round(length // 2 * (1 + t * part)) for part in (0.48, 0.88))
        psf[row, column] += 1 + t / 2
    return psf / psf.sum()


def test_few_iterations_already_bring_most_of_the_correction() -> None:
    rng = np.random.default_rng(0)
    x, y = (torch.from_numpy(rng.random((1, 1, 32, 40))) for _ in range(2))
    noise = torch.full((1, 1, 1, 1), (8 / 255) ** 2, dtype=torch.float64)
    few, many = (
        GeneralOperator(long_motion(), (32, 40), dtype=torch.float64, iterations=n) for n in (8, 99)
    )
    assert few.iterations == GeneralOperator(MOTION, (4, 4)).iterations
    variance = torch.from_numpy(power_law(few.frequency.numpy()))
    best = many.prox(x, y, variance, noise)
    left = (few.prox(x, y, variance, noise) - best).norm() / (best - x).norm()
    assert left < 0.2


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_single_precision_stays_close_and_single(case: Case) -> None:
    wide = case.operator
    narrow: Operator
    if isinstance(wide, GeneralOperator):
        narrow = GeneralOperator(case.psfs[0], wide.shape, wide.scale, iterations=40)
    else:
        assert isinstance(wide, MirrorOperator)
        narrow = MirrorOperator(wide.response.float(), wide.scale)
    x, y, noise = case.images(), case.observations(), case.noise(1e-3)
    for result, exact in (
        (narrow.A(x.float()), wide.A(x)),
        (narrow.adjoint(y.float()), wide.adjoint(y)),
        (narrow.prox(x.float(), y.float(), 0.04, noise.float()), wide.prox(x, y, 0.04, noise)),
    ):
        assert result.dtype == torch.float32
        close(result, exact, 1e-3)
    assert narrow.frequency.dtype == torch.float32


def test_nothing_left_to_correct_is_not_divided_by_zero() -> None:
    operator = GeneralOperator(MOTION, (6, 8), iterations=20)
    black = torch.zeros(1, 1, 6, 8)
    corrected = operator.prox(black, operator.A(black), 0.04, torch.full((1, 1, 1, 1), 1e-3))
    assert torch.equal(corrected, black)


def test_each_image_of_a_batch_is_corrected_on_its_own() -> None:
    rng = np.random.default_rng(2)
    x, y = (torch.from_numpy(rng.random((3, 1, 6, 8))) for _ in range(2))
    noise = torch.tensor([1e-3, 1e-2, 1.0], dtype=torch.float64)[:, None, None, None]
    for operator in (general("", MOTION, (6, 8)).operator, CASES[0].operator):
        together = operator.prox(x, y, 0.04, noise)
        for i in range(3):
            alone = operator.prox(x[i : i + 1], y[i : i + 1], 0.04, noise[i : i + 1])
            close(together[i : i + 1], alone, 1e-9)


# ---- the cosine basis -----------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 10_000], ids=["fft", "matrix"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (3, 8), (8, 9), (7, 1), (16, 5)])
def test_the_cosine_transform_is_the_orthonormal_dct(
    shape: Shape, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosine, "_MATRIX_LIMIT_CPU", limit)
    x = np.random.default_rng(0).standard_normal((2, 3, *shape))
    spectrum = cosine.dct2(torch.from_numpy(x))
    close(spectrum, scipy.fft.dctn(x, axes=(-2, -1), norm="ortho"), 1e-12)
    close(cosine.idct2(spectrum), x, 1e-12)


def test_a_long_side_takes_the_fft_and_stays_exact_in_single_precision() -> None:
    n = cosine._MATRIX_LIMIT_CPU + 1445
    x = np.random.default_rng(0).standard_normal((1, 2, n)).astype(np.float32)
    spectrum = cosine.dct2(torch.from_numpy(x))
    close(spectrum, scipy.fft.dctn(x.astype(np.float64), axes=(-2, -1), norm="ortho"), 1e-4)
    close(cosine.idct2(spectrum), x, 1e-5)


# ---- from a stated degradation --------------------------------------------------------------


@pytest.mark.parametrize(
    ("degradation", "psf"),
    [
        (Degradation(), np.ones((1, 1))),
        (Degradation(noise_std=9.0), np.ones((1, 1))),
        (Degradation(blur_sigma=2.0), gaussian_psf(2.0)),
        (Degradation(blur_sigma=1.5, sr_scale=2), gaussian_psf(1.5)),
        (Degradation(sr_scale=4), np.ones((1, 1))),
        (Degradation(psf=ELLIPSE, sr_scale=2), ELLIPSE),
        (Degradation(psf=MOTION), MOTION),
        (Degradation(psf=SHIFT, sr_scale=4), SHIFT),
    ],
    ids=["none", "noise", "blur", "composite", "pool", "PSF", "motion", "motion, pool"],
)
def test_the_operator_of_a_degradation(degradation: Degradation, psf: np.ndarray) -> None:
    operator = build_operator(degradation, (8, 12), dtype=torch.float64)
    assert operator.scale == degradation.sr_scale
    agrees_with_the_dense_matrix(Case("built", operator, (psf,)))


def test_a_symmetric_kernel_gets_the_closed_form_and_a_general_one_does_not() -> None:
    assert isinstance(build_operator(Degradation(psf=ELLIPSE), (8, 8)), MirrorOperator)
    assert isinstance(build_operator(Degradation(psf=MOTION), (8, 8)), GeneralOperator)


@pytest.mark.parametrize("shape", [(7, 8), (8, 7)])
def test_a_scale_that_does_not_divide_the_grid_is_refused(shape: Shape) -> None:
    for degradation in (Degradation(sr_scale=2), Degradation(sr_scale=2, psf=MOTION)):
        with pytest.raises(ValueError, match="scale 2 does not divide"):
            build_operator(degradation, shape)


def test_the_network_is_told_the_spread_of_a_kernel() -> None:
    assert equivalent_sigma(Degradation(blur_sigma=1.7)) == 1.7
    assert equivalent_sigma(Degradation(psf=gaussian_psf(1.7))) == pytest.approx(1.7, rel=0.01)
    assert equivalent_sigma(Degradation(psf=np.ones((1, 1)))) == 0


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("psf", [None, np.outer([0.2, 0.5, 0.3], [0, 0, 0.5, 0.3, 0.2])])
def test_the_coverage_is_a_white_image_blurred_into_black(
    psf: np.ndarray | None, scale: int
) -> None:
    kernel = gaussian_psf(1.5) if psf is None else psf
    sigma = 1.5 if psf is None else 0.0
    degradation = Degradation(blur_sigma=sigma, psf=psf, sr_scale=scale, zero_border=True)
    white = np.ones((10, 12))
    ry, rx = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(white, ((ry, ry), (rx, rx)))
    blurred = np.zeros_like(white)
    for a in range(kernel.shape[0]):
        for b in range(kernel.shape[1]):
            blurred += kernel[a, b] * padded[2 * ry - a :, 2 * rx - b :][:10, :12]
    seen = blurred.reshape(10 // scale, scale, 12 // scale, scale).mean((1, 3))
    close(border_coverage(degradation, (10, 12)), seen, 1e-12)
    assert seen.min() < 0.6
