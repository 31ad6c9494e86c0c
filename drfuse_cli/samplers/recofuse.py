"""The coupled reverse diffusion of ReCoFuse (CVPR 2026), a page like its algorithm."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from drfuse_cli.samplers.mean_reverting import NOISE, TIMES, MeanReverting


class Latents(NamedTuple):
    """One of both modalities each, ``B x C x h x w``."""

    visible: Tensor
    infrared: Tensor


class Networks(Protocol):
    """What the sampler asks of the networks; ``t`` is ``B`` integers in 0..100."""

    def fuse(self, states: Latents, t: Tensor) -> Tensor: ...

    def predict(
        self, states: Latents, fused: Tensor | None, means: Latents, t: Tensor
    ) -> tuple[Latents, Latents]: ...


Step = Callable[[Latents, Latents, Latents, Tensor, Tensor], Latents]
"""States, predictions, means, ``t`` and the next time ``s`` to the states at ``s``."""

Callback = Callable[[int, Latents, Tensor], None]


def times(steps: int) -> list[int]:
    """``steps + 1`` times from 100 down to 0, evenly spaced."""
    return [round(TIMES * (steps - i) / steps) for i in range(steps + 1)]


def posterior_step(process: MeanReverting) -> Step:
    """Networks that predict the clean latents: the expected next state, eq. (13)."""

    def step(z: Latents, clean: Latents, mu: Latents, t: Tensor, s: Tensor) -> Latents:
        moved = (process.posterior_mean(*zcm, t, s) for zcm in zip(z, clean, mu, strict=True))
        return Latents(*moved)

    return step


def euler_step(process: MeanReverting) -> Step:
    """Networks that predict noise: the published step, for ``s = t - 1`` only."""

    def step(z: Latents, noise: Latents, mu: Latents, t: Tensor, s: Tensor) -> Latents:
        moved = (process.euler_step(*znm, t) for znm in zip(z, noise, mu, strict=True))
        return Latents(*moved)

    return step


def start(
    means: Latents, generator: torch.Generator | None = None, *, alike: bool = False
) -> Latents:
    """``z(T) = mu + lambda n``, independent noise for each modality.

    ``alike``: the same for every sample, so that none depends on its place in the batch.
    """

    def noisy(mu: Tensor) -> Tensor:
        shape = (1, *mu.shape[1:]) if alike else mu.shape
        noise = torch.randn(shape, generator=generator, dtype=mu.dtype)
        return mu + NOISE * noise.to(mu.device)

    return Latents(*map(noisy, means))


def advance(
    z: Latents, means: Latents, networks: Networks, step: Step, now: int, after: int, coupled: bool
) -> Latents:
    """The states of both branches at time ``after``, from those at ``now``."""
    t, s = (torch.full((len(z.visible),), n, device=z.visible.device) for n in (now, after))
    z_f = networks.fuse(z, t) if coupled else None
    z, found = networks.predict(z, z_f, means, t)
    return step(z, found, means, t, s)


def sample(
    means: Latents,
    z: Latents,
    networks: Networks,
    step: Step,
    steps: int,
    *,
    coupled: bool = True,
    callback: Callback | None = None,
) -> tuple[Latents, Tensor]:
    """The restored latents and the fused one.

    ``means``: latents of the degraded sources; ``z``: the states at T. Without ``coupled`` each
    branch goes on from its own state and only the last states are fused.
    """
    end = torch.zeros(len(z.visible), dtype=torch.long, device=z.visible.device)
    for now, after in pairwise(times(steps)):
        z = advance(z, means, networks, step, now, after, coupled)
        if callback is not None:
            callback(after, z, networks.fuse(z, end + after))
    return z, networks.fuse(z, end)
