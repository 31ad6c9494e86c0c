"""The diffusion of ReCoFuse: its schedule as published, its closed forms against each other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drfuse_cli.samplers.mean_reverting import NOISE, TIMES, MeanReverting

PROCESS = MeanReverting()


def at(*times: int) -> Tensor:
    return torch.tensor(times)


def states(seed: int, count: int = 1) -> Tensor:
    return torch.randn(count, 4, 3, 5, generator=torch.Generator().manual_seed(seed))


def test_the_schedule_is_the_published_one() -> None:
    theta = PROCESS.theta(at(1, 50, 100)).flatten()
    assert torch.allclose(theta, torch.tensor([0.0017, 0.506, 0.9998]), atol=6e-4)
    assert pytest.approx(0.1041, abs=5e-5) == PROCESS.dt
    decay = PROCESS.decay(at(1, 25, 50, 75, 100)).flatten()
    assert torch.allclose(decay, torch.tensor([0.9998, 0.853, 0.361, 0.059, 0.005]), atol=6e-4)
    std = 255 * PROCESS.std(at(1, 25, 50, 75, 100)).flatten()
    assert torch.allclose(std, torch.tensor([0.94, 26.1, 46.6, 49.9, 50.0]), atol=0.06)


def test_a_state_starts_clean_and_ends_at_its_mean() -> None:
    clean, mean, noise = states(0, 2), states(1, 2), states(2, 2)
    ends = PROCESS.noised(clean, mean, at(0, TIMES), noise)
    assert torch.allclose(ends[0], clean[0], atol=1e-6)
    assert torch.allclose(ends[1], mean[1] + NOISE * noise[1], atol=0.05)


@pytest.mark.parametrize(("t", "s"), [(100, 99), (100, 40), (50, 49), (2, 1), (30, 0)])
def test_the_posterior_mean_is_that_of_two_gaussians(t: int, s: int) -> None:
    """Bayes by hand: the state at s is Gaussian, and so is that at t given it."""
    clean, mean, state = states(3), states(4), states(5)
    prior = PROCESS.noised(clean, mean, at(s), torch.zeros_like(clean))
    prior_variance = PROCESS.std(at(s)) ** 2
    a = PROCESS.decay(at(t)) / PROCESS.decay(at(s))
    step_variance = NOISE**2 * (1 - a**2)
    seen = state - mean * (1 - a)
    expected = (prior * step_variance + seen * a * prior_variance) / (
        step_variance + a**2 * prior_variance
    )
    found = PROCESS.posterior_mean(state, clean, mean, at(t), at(s))
    assert torch.allclose(found, expected, atol=2e-4)


def test_the_posterior_mean_at_zero_is_the_clean_latent() -> None:
    clean = states(6)
    found = PROCESS.posterior_mean(states(8), clean, states(7), at(17), at(0))
    assert torch.allclose(found, clean, atol=1e-6)


@pytest.mark.parametrize("t", [100, 70, 20])
def test_the_published_step_is_close_to_the_posterior_mean(t: int) -> None:
    """With the true noise an Euler step differs from the exact one by its discretisation only."""
    clean, mean, noise = states(9), states(10), states(11)
    state = PROCESS.noised(clean, mean, at(t), noise)
    exact = PROCESS.posterior_mean(state, clean, mean, at(t), at(t - 1))
    stepped = PROCESS.euler_step(state, noise, mean, at(t))
    assert (stepped - exact).norm() < 0.1 * (exact - state).norm()
