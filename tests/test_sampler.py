"""Algorithm 1 and its parts: schedule, joint correction, published correction, inputs."""

from __future__ import annotations

import itertools
import math
from typing import TypeVar, get_args

import numpy as np
import pytest
import scipy.fft
import torch
from torch import Tensor

from drfuse_cli.colour import rgb_to_ycbcr
from drfuse_cli.config import Correction, Degradation
from drfuse_cli.engine.inputs import make_inputs as inputs_of
from drfuse_cli.engine.prepared import prepare
from drfuse_cli.imageio import Image
from drfuse_cli.models import DRFusion
from drfuse_cli.networks.fusion_net import CONDITION, STATE, Architecture
from drfuse_cli.operators.build import build_operator
from drfuse_cli.operators.kernels import gaussian_taps
from drfuse_cli.samplers.correction import JointCorrection, PaperCorrection, no_correction
from drfuse_cli.samplers.drfusion import initial_estimate, sample
from drfuse_cli.samplers.observation import (
    CHROMA,
    FUSED,
    SOURCE1,
    SOURCE2,
    Inputs,
    Observation,
    describe,
    noise_variance,
)
from drfuse_cli.samplers.schedule import Schedule

SHAPE = (12, 16)
NOISY, BLURRED = Degradation(noise_std=14.0), Degradation(blur_sigma=2.0)
POOLED = Degradation(noise_std=4.0, sr_scale=2)
COMPOSITE = Degradation(blur_sigma=1.5, noise_std=2.0, sr_scale=4)
MOTION = Degradation(psf=np.array([[0.5, 0.3, 0.2]]), noise_std=1.0)
M = TypeVar("M", bound=torch.nn.Module)
SMALL = Architecture(widths=(8, 12, 16), depths=(1, 1, 1), step_blocks=1, embedding=16)


def make_inputs(
    first: Degradation = NOISY,
    second: Degradation = POOLED,
    *,
    batch: int = 1,
    colour: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Inputs:
    """Random observations of a pair, source 2 in colour."""
    generator = torch.Generator().manual_seed(seed)

    def seen(degradation: Degradation, planes: int, channels: slice) -> Observation:
        operator = build_operator(degradation, SHAPE, dtype=dtype)
        y = torch.rand(batch, planes, *operator.out_shape, generator=generator).to(dtype)
        untouched = torch.tensor([degradation.is_clean] * batch)
        variance = noise_variance(torch.full((batch,), degradation.noise_std), untouched)
        return Observation(operator, y, variance.to(dtype), channels)

    observations = [seen(first, 1, SOURCE1), seen(second, 1, SOURCE2)]
    if colour:
        observations.append(seen(second, 2, CHROMA))

    def both(a: float, b: float) -> Tensor:
        return torch.tensor([[a, b]]).expand(batch, 2)

    condition = describe(
        both(first.noise_std, second.noise_std),
        both(first.blur_sigma, second.blur_sigma),
        both(float(first.sr_scale), float(second.sr_scale)),
        torch.full((batch,), second.noise_std if colour else 0.0),
        torch.full((batch,), 2 if colour else 0),
    )
    return Inputs(tuple(observations), condition.to(dtype))


def random_state(seed: int = 3, batch: int = 1) -> tuple[Tensor, Tensor]:
    """An estimate ``B x 5 x H x W`` and a weight ``B x 1 x H x W``."""
    generator = torch.Generator().manual_seed(seed)
    estimate = torch.rand(batch, len(STATE), *SHAPE, generator=generator)
    return estimate, torch.rand(batch, 1, *SHAPE, generator=generator)


def trained_like(module: M) -> M:
    """No weight left at zero, as after training, and the same on every call."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            draw = torch.randn(parameter.shape, generator=generator)
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 10
            parameter.copy_(draw * (0.1 if "head" in name else 1) / math.sqrt(fan_in))
    return module.eval()


def step_time(t: int, steps: int = 3, batch: int = 1) -> Tensor:
    return torch.tensor([[t / steps, 1 / steps]]).expand(batch, 2)


# ---- schedule -------------------------------------------------------------------------------


def test_the_schedule_starts_at_one_half_a_step() -> None:
    close = torch.testing.assert_close
    close(Schedule().alpha_bar(3), torch.tensor([1, 0.5, 0.25, 0.125]))
    close(Schedule(5).alpha_bar(5), 0.5 ** torch.arange(6.0))


def test_the_schedule_is_the_cumulative_product_of_sigmoids() -> None:
    schedule, alphas = Schedule(), torch.tensor([0.9, 0.4, 0.7])
    with torch.no_grad():
        schedule.logits.copy_(torch.logit(alphas))
    torch.testing.assert_close(schedule.alpha_bar(3), torch.tensor([1, 0.9, 0.36, 0.252]))
    torch.testing.assert_close(schedule.alpha_bar(1), torch.tensor([1, 0.252]))
    finer = schedule.alpha_bar(6)
    torch.testing.assert_close(finer[::2], schedule.alpha_bar(3))
    torch.testing.assert_close(finer[1], torch.tensor(math.sqrt(0.9)))
    torch.testing.assert_close(finer[3], torch.tensor(0.9 * math.sqrt(0.4)))


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("logit", [-8.0, 0.0, 8.0])
def test_the_signal_only_ever_fades(steps: int, logit: float) -> None:
    schedule = Schedule()
    with torch.no_grad():
        schedule.logits.fill_(logit)
    alpha_bar = schedule.alpha_bar(steps)
    assert len(alpha_bar) == steps + 1
    assert alpha_bar[0] == 1
    assert (alpha_bar.diff() < 0).all()
    assert (alpha_bar > 0).all()
    alpha_bar.sum().backward()
    assert schedule.logits.grad is not None
    assert (schedule.logits.grad > 0).all()


# ---- the loop -------------------------------------------------------------------------------


class Dummy:
    """A smooth function of everything that a network is given."""

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, lifted: Tensor, observed: Tensor, condition: Tensor) -> Tensor:
        self.encoded += 1
        return (lifted - observed).sum(1, keepdim=True) + condition.sum()

    def __call__(
        self, state: Tensor, estimate: Tensor, features: Tensor, condition: Tensor, time: Tensor
    ) -> tuple[Tensor, Tensor]:
        position, stride = time[0]
        change = 0.1 * torch.sin(2 * state - estimate + features + 3 * position) + 0.02 * stride
        return change, torch.sigmoid(state[:, :1] - estimate[:, 2:3] + features - position)


Three = tuple[float, float, float]


def with_trust(
    levels: Three, slopes: Three, kappa: float, shares: Three = (0, 0, 0)
) -> JointCorrection:
    """A correction with the same, known trust at every step."""

    def logit(p: float) -> float:
        return math.log(max(p, 1e-30) / (1 - p))

    correction = JointCorrection().double()
    last = correction.trust[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias.copy_(torch.tensor([*levels, *slopes, *map(logit, (kappa, *shares))]))
    return correction


def algorithm_1(
    inputs: Inputs, alphas: list[float], rho: list[float], sigma: list[float], kappa: float
) -> list[np.ndarray]:
    """A transcription, with ``A`` the identity for source 1 and 2 x 2 means for the others.

    Returns every corrected estimate, from t = T to 1.
    """
    network = Dummy()
    features = network.encode(inputs.lifted, inputs.observed, inputs.condition)
    y1, y2, colour = (o.y.numpy() for o in inputs.observations)
    u = inputs.lifted.numpy()
    T = len(alphas)
    X_bar = np.stack([u[0, 0], u[0, 1], (u[0, 0] + u[0, 1]) / 2, u[0, 2], u[0, 3]])[None]
    X = math.sqrt(math.prod(alphas)) * X_bar
    estimates = []
    for t in range(T, 0, -1):
        now, before = math.prod(alphas[:t]), math.prod(alphas[: t - 1])
        change, weight = network(
            torch.from_numpy(X / math.sqrt(now)), torch.from_numpy(X_bar), features,
            inputs.condition, torch.tensor([[t / T, 1 / T]], dtype=torch.float64),
        )  # fmt: skip
        e = (X - math.sqrt(now) * (X_bar + change.numpy())) / math.sqrt(1 - now)
        X_hat = (X - math.sqrt(1 - now) * e) / math.sqrt(now)  # (4)
        x1, x2, f, cb, cr = X_hat[0]
        x1 = x1 - rho[0] / (rho[0] + sigma[0]) * (x1 - y1[0, 0])  # (8), A = I
        x2 = pull(x2, y2[0, 0], rho[1], sigma[1])
        cb, cr = (pull(c, colour[0, i], rho[2], sigma[2]) for i, c in enumerate((cb, cr)))
        m = weight.numpy()[0, 0]
        f = f - kappa * (f - (m * x1 + (1 - m) * x2))  # third row of (17)
        X_bar = np.stack([x1, x2, f, cb, cr])[None]
        X = math.sqrt(before) * X_bar + math.sqrt(1 - before) * e  # (18)
        estimates.append(X_bar)
    return [*estimates, X]


def pull(x: np.ndarray, y: np.ndarray, rho: float, sigma: float) -> np.ndarray:
    """Towards ``y``, the means of 2 x 2 pixels: gain ``rho^2 / (rho^2 + s^2 sigma^2)``."""
    height, width = y.shape
    residual = x.reshape(height, 2, width, 2).mean((1, 3)) - y
    return x - rho / (rho + 4 * sigma) * np.kron(residual, np.ones((2, 2)))


@pytest.mark.parametrize("alphas", [[0.3], [0.5, 0.8], [0.5] * 3, [0.9, 0.6, 0.4, 0.7, 0.95]])
def test_the_loop_is_algorithm_1(alphas: list[float]) -> None:
    inputs = make_inputs(dtype=torch.float64)
    levels, kappa = (5.0, 4.0, 3.0), 0.7
    variance = [math.exp(level) / 255**2 for level in levels]
    sigma = [float(o.noise_var) for o in inputs.observations]
    expected = algorithm_1(inputs, alphas, variance, sigma, kappa)
    alpha_bar = torch.tensor([1.0, *alphas], dtype=torch.float64).cumprod(0)
    seen: list[tuple[int, Tensor, Tensor]] = []
    network = Dummy()
    with torch.no_grad():
        final = sample(
            inputs, network, alpha_bar, with_trust(levels, (0, 0, 0), kappa),
            lambda t, X_bar, m: seen.append((t, X_bar, m)),
        )  # fmt: skip
    assert [t for t, _, _ in seen] == list(range(len(alphas), 0, -1))
    assert network.encoded == 1
    for (_, X_bar, _), estimate in zip(seen, expected[:-1], strict=True):
        np.testing.assert_allclose(X_bar, estimate, rtol=0, atol=1e-7)
    np.testing.assert_allclose(final, expected[-1], rtol=0, atol=1e-7)
    np.testing.assert_allclose(final, seen[-1][1], rtol=0, atol=1e-12)  # no e at the end


def test_the_first_estimate_is_the_lifts_and_their_mean() -> None:
    lifted = torch.rand(2, 4, *SHAPE)
    x1, x2, f, cb, cr = initial_estimate(lifted).unbind(1)
    assert torch.equal(torch.stack((x1, x2, cb, cr), 1), lifted)
    torch.testing.assert_close(f, (x1 + x2) / 2)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("mode", get_args(Correction))
def test_any_number_of_steps_in_any_mode_gives_an_image(steps: int, mode: Correction) -> None:
    model = trained_like(DRFusion(SMALL))
    seen: list[int] = []
    with torch.no_grad():
        state = model(
            make_inputs(), steps=steps, correction=mode, callback=lambda t, X, m: seen.append(t)
        )
    assert state.shape == (1, len(STATE), *SHAPE)
    assert torch.isfinite(state).all()
    assert seen == list(range(steps, 0, -1))


def test_the_modes_and_the_numbers_of_steps_are_told_apart() -> None:
    model = trained_like(DRFusion(SMALL))
    with torch.no_grad():
        modes = [model(make_inputs(), correction=mode) for mode in get_args(Correction)]
        counts = [model(make_inputs(), steps=steps) for steps in range(1, 6)]
    for results in (modes, counts):
        for one, other in itertools.combinations(results, 2):
            assert float((one - other).abs().max()) > 1e-5


@pytest.mark.parametrize("mode", get_args(Correction))
def test_nothing_is_random(mode: Correction) -> None:
    model = trained_like(DRFusion(SMALL))
    results = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        with torch.no_grad():
            results.append(model(make_inputs(COMPOSITE, MOTION), correction=mode))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*results)


def test_a_pair_comes_out_the_same_in_a_batch_and_alone() -> None:
    model = trained_like(DRFusion(SMALL))
    together = make_inputs(batch=3)
    with torch.no_grad():
        all_three = model(together)
        for i in range(3):
            one = slice(i, i + 1)
            alone = Inputs(
                tuple(
                    Observation(o.operator, o.y[one], o.noise_var[one], o.channels)
                    for o in together.observations
                ),
                together.condition[one],
            )  # fmt: skip
            torch.testing.assert_close(model(alone), all_three[one], rtol=0, atol=1e-5)


# ---- the joint correction -------------------------------------------------------------------


def corrected(mode: Correction, inputs: Inputs, seed: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    X_hat, m = random_state(seed)
    correction = trained_like(JointCorrection())
    with torch.no_grad():
        return X_hat, m, correction(X_hat, m, inputs, step_time(2), mode=mode)


def test_data_only_moves_the_sources_and_not_the_fused_image() -> None:
    X_hat, _, X_bar = corrected("data", make_inputs())
    assert torch.equal(X_bar[:, FUSED], X_hat[:, FUSED])
    for channels in (SOURCE1, SOURCE2, CHROMA):
        assert float((X_bar[:, channels] - X_hat[:, channels]).abs().max()) > 1e-4


def test_the_error_of_an_estimate_is_a_power_law_over_frequency() -> None:
    inputs = make_inputs(BLURRED, COMPOSITE)
    X_hat, m = random_state()
    levels, slopes = (3.0, 1.0, 5.0), (0.5, 2.0, 1.0)
    correction = with_trust(levels, slopes, 0.5).float()
    with torch.no_grad():
        X_bar = correction(X_hat, m, inputs, step_time(1), mode="data")
    for seen, level, slope in zip(inputs.observations, levels, slopes, strict=True):
        # The level is stated in grey levels at 0.1 cycles a pixel; below 0.01 it is flat.
        frequency = seen.operator.frequency.clamp_min(0.01)
        variance = math.exp(level) / 255**2 * (frequency / 0.1) ** -slope
        expected = seen.operator.prox(X_hat[:, seen.channels], seen.y, variance, seen.noise_var)
        torch.testing.assert_close(X_bar[:, seen.channels], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("degradation", [NOISY, BLURRED, POOLED, COMPOSITE], ids=str)
def test_errors_that_the_residual_shows_are_corrected(degradation: Degradation) -> None:
    """What a share of the excess does, against a trust that knows nothing: nearer the scene."""
    inputs = make_inputs(degradation, degradation)
    X_hat, m = random_state()
    blind, seeing = (
        with_trust((-9.0, -9.0, -9.0), (0, 0, 0), 0.5, (share,) * 3).float() for share in (0.0, 0.9)
    )
    with torch.no_grad():
        before, after = (c(X_hat, m, inputs, step_time(1), mode="data") for c in (blind, seeing))
    for seen in inputs.observations:
        left, right = (
            (seen.operator.A(X[:, seen.channels]) - seen.y).norm() for X in (before, after)
        )
        assert right < 0.9 * left


def test_fusion_only_moves_the_fused_image_and_not_the_sources() -> None:
    X_hat, m, X_bar = corrected("fusion", make_inputs())
    for channels in (SOURCE1, SOURCE2, CHROMA):
        assert torch.equal(X_bar[:, channels], X_hat[:, channels])
    wanted = m * X_hat[:, SOURCE1] + (1 - m) * X_hat[:, SOURCE2] - X_hat[:, FUSED]
    moved = X_bar[:, FUSED] - X_hat[:, FUSED]
    kappa = float((moved * wanted).sum() / (wanted * wanted).sum())
    assert 0 < kappa < 1
    torch.testing.assert_close(moved, kappa * wanted, rtol=0, atol=1e-5)


def test_joint_is_the_data_term_and_then_the_fusion_row() -> None:
    inputs = make_inputs()
    _, m, X_bar = corrected("joint", inputs)
    _, _, data = corrected("data", inputs)
    for channels in (SOURCE1, SOURCE2, CHROMA):
        assert torch.equal(X_bar[:, channels], data[:, channels])
    with torch.no_grad():
        correction = trained_like(JointCorrection())
        after = correction(data, m, inputs, step_time(2), mode="fusion")
    torch.testing.assert_close(X_bar, after)


def test_none_leaves_the_estimate() -> None:
    X_hat, m = random_state()
    assert no_correction(X_hat, m, make_inputs(), step_time(1)) is X_hat
    _, _, untouched = corrected("none", make_inputs())
    assert torch.equal(untouched, X_hat)


def test_the_estimate_itself_is_never_written_to() -> None:
    for mode in ("joint", "data", "fusion"):
        X_hat, _, _ = corrected(mode, make_inputs())
        assert torch.equal(X_hat, random_state()[0])


def with_kappa_one(model: DRFusion) -> DRFusion:
    last = model.correction.trust[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight[6] = 0
        last.bias[6] = 50.0
    return model


@pytest.mark.parametrize("mode", ["joint", "fusion"])
def test_the_weights_sum_to_one(mode: Correction) -> None:
    model = with_kappa_one(trained_like(DRFusion(SMALL)))
    seen: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        model(make_inputs(), correction=mode, callback=lambda t, X, m: seen.append((X, m)))
    for X_bar, m in seen:
        assert m.min() > 0
        assert m.max() < 1
        x1, x2, f = X_bar[:, SOURCE1], X_bar[:, SOURCE2], X_bar[:, FUSED]
        assert (f >= torch.minimum(x1, x2) - 1e-6).all()
        assert (f <= torch.maximum(x1, x2) + 1e-6).all()
        torch.testing.assert_close(f, m * x1 + (1 - m) * x2, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "degradation", [NOISY, BLURRED, POOLED, COMPOSITE, MOTION], ids=lambda d: str(d._key()[:3])
)
def test_the_data_term_moves_each_source_nearer_its_observation(degradation: Degradation) -> None:
    inputs = make_inputs(degradation, degradation)
    X_hat, _, X_bar = corrected("data", inputs)
    for seen in inputs.observations:
        before, after = (
            (seen.operator.A(X[:, seen.channels]) - seen.y).norm() for X in (X_hat, X_bar)
        )
        assert after < before


def test_a_source_that_agrees_is_left_alone() -> None:
    X_hat, m = random_state()
    fitting = tuple(
        Observation(o.operator, o.operator.A(X_hat[:, o.channels]), o.noise_var, o.channels)
        for o in make_inputs(BLURRED, COMPOSITE).observations
    )
    inputs = Inputs(fitting, make_inputs(BLURRED, COMPOSITE).condition)
    with torch.no_grad():
        X_bar = JointCorrection()(X_hat, m, inputs, step_time(1), mode="data")
    torch.testing.assert_close(X_bar, X_hat, rtol=0, atol=1e-4)


@pytest.mark.parametrize("mode", ["joint", "data"])
def test_an_untouched_source_comes_through_exactly(mode: Correction) -> None:
    """Whatever the network says: below a tenth of a grey level, so the file is the same."""
    inputs = make_inputs(Degradation(), COMPOSITE)
    model = trained_like(DRFusion(SMALL))
    with torch.no_grad():
        state = model(inputs, correction=mode)
        free = model(inputs, correction="none")
    y = inputs.observations[0].y
    assert 255 * float((free[:, SOURCE1] - y).abs().max()) > 1
    assert 255 * float((state[:, SOURCE1] - y).abs().max()) < 0.1


def test_the_trust_depends_on_step_source_and_degradation() -> None:
    correction = trained_like(JointCorrection())
    trust = correction.get_submodule("trust")
    condition = make_inputs().condition
    with torch.no_grad():
        here = trust(torch.cat((condition, step_time(3)), 1))
        later = trust(torch.cat((condition, step_time(1)), 1))
        fewer = trust(torch.cat((condition, step_time(1, steps=1)), 1))
        elsewhere = trust(torch.cat((make_inputs(BLURRED).condition, step_time(3)), 1))
    assert here.shape == (1, 10)
    for other in (later, fewer, elsewhere):
        assert (here != other).all()
    assert len(set(here[0, :3].tolist())) == 3


def test_everything_that_is_learned_gets_a_gradient() -> None:
    model = trained_like(DRFusion(SMALL)).train()
    model(make_inputs()).square().sum().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


# ---- the published correction ---------------------------------------------------------------


def published_strength(alphas: list[float], std: float, t: int) -> float:
    """The share of the way to full correction that sources go at step ``t``, measured."""
    X_hat, m = random_state()
    inputs = make_inputs(NOISY, NOISY, colour=False)
    variance = torch.full((1, 1, 1, 1), std**2)
    inputs = Inputs(
        tuple(Observation(o.operator, o.y, variance, o.channels) for o in inputs.observations),
        inputs.condition,
    )
    correct = PaperCorrection(torch.tensor([1.0, *alphas]).cumprod(0))
    X_bar = correct(X_hat, m, inputs, step_time(t, len(alphas)))
    way = inputs.observations[0].y - X_hat[:, SOURCE1]
    moved = X_bar[:, SOURCE1] - X_hat[:, SOURCE1]
    y1, y2 = (o.y for o in inputs.observations)
    share = float((moved * way).sum() / (way * way).sum())
    fused = X_hat[:, FUSED] + share * (m * y1 + (1 - m) * y2 - X_hat[:, FUSED])
    torch.testing.assert_close(X_bar[:, FUSED], fused, rtol=0, atol=1e-4)
    return share


@pytest.mark.parametrize(
    "alphas", [[0.5, 0.5, 0.5], [0.9, 0.9, 0.9], [0.99, 0.9, 0.5], [0.4, 0.5, 0.6]]
)
def test_the_published_strength_is_all_or_nothing(alphas: list[float]) -> None:
    strengths = [published_strength(alphas, 0.03, t) for t in (3, 2, 1)]
    assert strengths[:2] == pytest.approx([1, 1], abs=1e-5)
    assert strengths[2] == pytest.approx(3.3e-5, rel=0.05)


def test_the_published_thresholds() -> None:
    # sigma_t / a_t at alpha = 0.5, where the strength leaves 1.
    assert published_strength([0.5] * 3, 4.0, 3) == pytest.approx(2.29 / 4, rel=0.005)
    assert published_strength([0.5] * 3, 4.0, 2) == pytest.approx(1.22 / 4, rel=0.005)


def test_the_published_correction_puts_the_noisy_sources_back() -> None:
    X_hat, m = random_state()
    inputs = make_inputs(NOISY, NOISY)
    alpha_bar = torch.tensor([1, 0.5, 0.25, 0.125])
    y1, y2, colour = (o.y for o in inputs.observations)
    for t in (3, 2):
        X_bar = PaperCorrection(alpha_bar)(X_hat, m, inputs, step_time(t))
        expected = torch.cat((y1, y2, m * y1 + (1 - m) * y2, colour), 1)
        torch.testing.assert_close(X_bar, expected, rtol=0, atol=1e-5)
    last = PaperCorrection(alpha_bar)(X_hat, m, inputs, step_time(1))
    torch.testing.assert_close(last, X_hat, rtol=0, atol=1e-4)


def test_the_published_inverse_of_pooling_replicates_and_of_blur_is_a_wiener_filter() -> None:
    X_hat, m = random_state()
    alpha_bar = torch.tensor([1, 0.5, 0.25, 0.125])
    inputs = make_inputs(POOLED, BLURRED)
    X_bar = PaperCorrection(alpha_bar)(X_hat, m, inputs, step_time(3))
    pooled, blurred, _ = inputs.observations
    assert float((pooled.operator.A(X_bar[:, SOURCE1]) - pooled.y).abs().max()) < 1e-4
    wiener = torch.full((1, 1, 1, 1), PaperCorrection.WIENER)
    expected = blurred.operator.prox(X_hat[:, SOURCE2], blurred.y, 1.0, wiener)
    torch.testing.assert_close(X_bar[:, SOURCE2], expected)


def test_the_published_inverse_of_both_is_that_of_blur_after_that_of_pooling() -> None:
    X_hat, m = random_state()
    inputs = make_inputs(COMPOSITE, COMPOSITE)
    alpha_bar = torch.tensor([1, 0.5, 0.25, 0.125])
    X_bar = PaperCorrection(alpha_bar)(X_hat, m, inputs, step_time(3))
    seen = inputs.observations[0]
    residual = (seen.y - seen.operator.A(X_hat[:, SOURCE1])).repeat_interleave(4, -2)
    enlarged = residual.repeat_interleave(4, -1).numpy()
    taps = gaussian_taps(COMPOSITE.blur_sigma)
    angles = [np.pi * np.arange(n) / n for n in SHAPE]
    offsets = np.arange(len(taps)) - len(taps) // 2
    rows, columns = (np.cos(np.outer(angle, offsets)) @ taps for angle in angles)
    k = np.outer(rows, columns)
    spectrum = scipy.fft.dctn(enlarged, axes=(-2, -1), norm="ortho")
    gain = k / (k**2 + PaperCorrection.WIENER)
    moved = scipy.fft.idctn(gain * spectrum, axes=(-2, -1), norm="ortho")
    expected = X_hat[:, SOURCE1] + torch.from_numpy(moved)
    torch.testing.assert_close(X_bar[:, SOURCE1], expected, rtol=0, atol=1e-4, check_dtype=False)
    # That is not the inverse of both: what is corrected does not fit what was seen.
    assert float((seen.operator.A(X_bar[:, SOURCE1]) - seen.y).abs().max()) > 0.05


# ---- what the sampler is given --------------------------------------------------------------


def test_inputs_are_lifted_and_repeated_to_four_channels() -> None:
    inputs = make_inputs(NOISY, COMPOSITE, batch=2)
    assert inputs.lifted.shape == inputs.observed.shape == (2, 4, *SHAPE)
    assert torch.equal(inputs.observed[:, :1], inputs.observations[0].y)
    blocks = np.kron(inputs.observations[2].y.numpy(), np.ones((1, 1, 4, 4), np.float32))
    assert np.array_equal(inputs.observed[:, 2:], blocks)
    assert torch.equal(inputs.lifted[:, 1:2], inputs.observations[1].lift())


def test_a_grey_pair_has_empty_chroma() -> None:
    inputs = make_inputs(colour=False)
    assert not inputs.lifted[:, 2:].any()
    assert not inputs.observed[:, 2:].any()
    assert inputs.lifted[:, :2].all()


def test_the_description_lists_noise_blur_scale_and_colour() -> None:
    both = torch.tensor
    described = describe(
        both([[31.0, 0.0]]), both([[0.0, 3.0]]), both([[4.0, 1.0]]), both([3.0]), both([1])
    )
    assert described.shape == (1, CONDITION)
    torch.testing.assert_close(described[0], torch.tensor([1, 0, 0, 1, 1, 0, 0.4, 1, 1.0]))
    zero, one = torch.zeros(3, 2), torch.ones(3, 2)
    sources = describe(zero, zero, one, torch.zeros(3), both([0, 1, 2]))
    assert sources[:, 7:].tolist() == [[0, 0], [1, 1], [1, 0]]


def test_noise_is_at_least_rounding_unless_the_source_is_untouched() -> None:
    variance = noise_variance(torch.tensor([25.5, 0.0, 0.0]), torch.tensor([False, False, True]))
    assert variance.shape == (3, 1, 1, 1)
    assert float(variance[0]) == pytest.approx(0.01, rel=1e-3)
    assert float(variance[1].sqrt()) * 255 == pytest.approx(0.3, rel=1e-3)
    assert float(variance[2].sqrt()) * 255 < 0.01


@pytest.mark.parametrize("colour", [False, True])
def test_what_rounding_to_8_bits_does_is_known_for_grey_luma_and_chroma(colour: bool) -> None:
    shape = (64, 64, 3) if colour else (64, 64)
    scene = np.random.default_rng(1).uniform(10, 245, shape) / 255
    seen = Image((scene * 255 + 0.5).astype(np.uint8))
    blurred = Degradation(blur_sigma=1.0)
    pair = prepare(seen, seen, (blurred, blurred))
    operators = [build_operator(source.blur, pair.grid.canvas) for source in pair.sources]
    inputs = inputs_of([pair], operators, torch.device("cpu"))
    true = rgb_to_ycbcr(scene) if colour else (scene,)
    planes = [(o, o.y[0, c]) for o in inputs.observations[1:] for c in range(o.y.shape[1])]
    for (observation, y), clean in zip(planes, true, strict=True):
        off = float((y - torch.from_numpy(clean)).square().mean().sqrt())
        assert float(observation.noise_var.sqrt()) == pytest.approx(off, rel=0.15)
