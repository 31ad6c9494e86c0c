"""The coupled loop: where each step starts from, where it ends, what is left out uncoupled."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drfuse_cli.samplers.mean_reverting import MeanReverting
from drfuse_cli.samplers.recofuse import (
    Latents,
    euler_step,
    posterior_step,
    sample,
    start,
    times,
)

CLEAN = Latents(torch.full((2, 4, 3, 3), 0.3), torch.full((2, 4, 3, 3), -0.8))
MEANS = Latents(torch.ones(2, 4, 3, 3), torch.zeros(2, 4, 3, 3))


class Recorder:
    """Networks that know the clean latents, and write down what they are asked."""

    def __init__(self, prediction: Latents = CLEAN) -> None:
        self.prediction = prediction
        self.fused: list[tuple[Latents, int]] = []
        self.asked: list[tuple[Latents, int]] = []

    def fuse(self, states: Latents, t: Tensor) -> Tensor:
        self.fused.append((states, int(t[0])))
        return 0.25 * states.infrared + 0.5 * states.visible

    def predict(
        self, states: Latents, fused: Tensor | None, means: Latents, t: Tensor
    ) -> tuple[Latents, Latents]:
        if fused is not None:
            states = Latents(fused, fused)
        self.asked.append((states, int(t[0])))
        return states, self.prediction


def run(networks: Recorder, steps: int, *, coupled: bool = True) -> tuple[Latents, Tensor]:
    z = start(MEANS, torch.Generator().manual_seed(1))
    return sample(MEANS, z, networks, posterior_step(MeanReverting()), steps, coupled=coupled)


def test_times_go_down_evenly_to_zero() -> None:
    assert times(4) == [100, 75, 50, 25, 0]
    assert times(100) == list(range(100, -1, -1))


@pytest.mark.parametrize("steps", [1, 2, 6, 100])
def test_true_predictions_end_at_the_clean_latents(steps: int) -> None:
    z, fused = run(Recorder(), steps)
    assert torch.allclose(z.visible, CLEAN.visible, atol=1e-5)
    assert torch.allclose(z.infrared, CLEAN.infrared, atol=1e-5)
    assert torch.allclose(fused, 0.25 * CLEAN.infrared + 0.5 * CLEAN.visible, atol=1e-5)


def test_both_branches_start_every_step_from_the_fused_state() -> None:
    networks = Recorder()
    run(networks, 3)
    assert [t for _, t in networks.fused] == [100, 67, 33, 0]
    for (fused, _), (asked, _) in zip(networks.fused, networks.asked, strict=False):
        expected = 0.25 * fused.infrared + 0.5 * fused.visible
        assert torch.equal(asked.visible, expected)
        assert torch.equal(asked.infrared, expected)


def test_uncoupled_branches_fuse_at_the_end_alone() -> None:
    networks = Recorder()
    run(networks, 3, coupled=False)
    assert [t for _, t in networks.fused] == [0]
    first, _ = networks.asked[0]
    assert not torch.equal(first.visible, first.infrared)


def test_the_start_is_seeded_and_differs_between_modalities() -> None:
    one, again = (start(MEANS, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one.visible, again.visible)
    noise = one.visible - MEANS.visible, one.infrared - MEANS.infrared
    assert not torch.allclose(*noise)
    assert 0.1 < float(torch.cat(noise).std()) < 0.3


def test_published_steps_with_the_true_noise_come_near_the_clean_latents() -> None:
    """100 Euler steps of the published form from predicted noise that is exact at every state."""
    process = MeanReverting()

    class Exact(Recorder):
        def predict(
            self, states: Latents, fused: Tensor | None, means: Latents, t: Tensor
        ) -> tuple[Latents, Latents]:
            def noise(z: Tensor, clean: Tensor, mu: Tensor) -> Tensor:
                return (z - mu - (clean - mu) * process.decay(t)) / process.std(t)

            return states, Latents(*map(noise, states, CLEAN, means))

    z = start(MEANS, torch.Generator().manual_seed(1))
    found, _ = sample(MEANS, z, Exact(), euler_step(process), 100, coupled=False)
    assert torch.allclose(found.visible, CLEAN.visible, atol=0.05)
    assert torch.allclose(found.infrared, CLEAN.infrared, atol=0.05)


def test_a_callback_sees_every_step() -> None:
    seen: list[int] = []
    z = start(MEANS, torch.Generator().manual_seed(1))
    step = posterior_step(MeanReverting())
    sample(MEANS, z, Recorder(), step, 4, callback=lambda t, z, f: seen.append(t))
    assert seen == [75, 50, 25, 0]
