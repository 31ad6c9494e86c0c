"""ReCoFuse put together: auto-encoder, two diffusion branches and their fusion module."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drfuse_cli.networks.recofuse.architecture import RecoFuseArchitecture
from drfuse_cli.networks.recofuse.autoencoder import Autoencoder, Features
from drfuse_cli.networks.recofuse.branch import Branch
from drfuse_cli.networks.recofuse.fusion_module import TimeAwareFusion
from drfuse_cli.networks.recofuse.refiner import Pictures, Refiner
from drfuse_cli.samplers.mean_reverting import MeanReverting
from drfuse_cli.samplers.recofuse import (
    Latents,
    Step,
    euler_step,
    posterior_step,
    sample,
    start,
)


class Restored(NamedTuple):
    """RGB ``B x 3 x H x W``, not clipped, and the share of infrared, ``B x 1 x H x W`` in 0..1."""

    fused: Tensor
    visible: Tensor
    infrared: Tensor
    weight: Tensor


def mean_features(first: Features, second: Features) -> Features:
    """The features a fused latent is decoded with."""
    return [(a + b) / 2 for a, b in zip(first, second, strict=True)]


class RecoFuse(nn.Module):
    """ReCoFuse (CVPR 2026) with everything that is learned.

    ``spread`` is the standard deviation of each latent channel over the training data, measured
    as the auto-encoder trains: the diffusion sees latents divided by it, so that its noise means
    the same to all of them.
    """

    spread: Tensor

    def __init__(self, arch: RecoFuseArchitecture) -> None:
        super().__init__()
        self.arch = arch
        channels = arch.autoencoder.latent
        self.autoencoder = Autoencoder(arch.autoencoder)
        beside = arch.feedback == "beside"
        self.visible, self.infrared = (
            Branch(arch.branch, channels, sees_fused=beside) for _ in range(2)
        )
        self.fusion = TimeAwareFusion(arch.fusion, channels)
        self.refiner = Refiner(arch.refiner) if arch.refiner else None
        self.register_buffer("spread", torch.ones(channels))
        self.process = MeanReverting()

    def encode(self, image: Tensor) -> tuple[Tensor, Features]:
        """RGB in 0..1, sides multiples of ``arch.autoencoder.stride``."""
        latent, features = self.autoencoder.encode(image)
        return latent / self.spread[:, None, None], features

    def decode(self, latent: Tensor, features: Features) -> Tensor:
        return self.autoencoder.decode(latent * self.spread[:, None, None], features)

    def fuse(self, states: Latents, t: Tensor) -> Tensor:
        fused: Tensor = self.fusion(states.visible, states.infrared, t)
        return fused

    def predict(
        self, states: Latents, fused: Tensor | None, means: Latents, t: Tensor
    ) -> tuple[Latents, Latents]:
        """The states that both branches take a step from, and what they make of them."""
        if fused is not None and self.arch.feedback == "whole":
            states = Latents(fused, fused)
        visible = self.visible(states.visible, means.visible, t, fused)
        infrared = self.infrared(states.infrared, means.infrared, t, fused)
        if self.arch.predicts == "clean":
            return states, Latents(means.visible + visible, means.infrared + infrared)
        return states, Latents(visible, infrared)

    @property
    def step(self) -> Step:
        form = posterior_step if self.arch.predicts == "clean" else euler_step
        return form(self.process)

    def forward(
        self,
        visible: Tensor,
        infrared: Tensor,
        steps: int | None = None,
        generator: torch.Generator | None = None,
        callback: Callable[[int, Restored], None] | None = None,
    ) -> Restored:
        """Both sources, RGB ``B x 3 x H x W`` in 0..1, infrared with three equal channels.

        ``generator``: of the noise that the diffusion starts from, on the CPU. ``callback``
        sees pictures of the states after every step.
        """
        size = visible.shape[-2:]
        latent, features = self.encode(self._pad(torch.cat((visible, infrared))))
        means = Latents(*latent.chunk(2))

        def show(t: int, z: Latents, z_f: Tensor) -> None:
            if callback is not None:
                callback(t, self._picture(z, z_f, features, t, size))

        z, z_f = sample(
            means,
            start(means, generator, alike=True),
            self,
            self.step,
            steps or self.arch.steps,
            coupled=self.arch.coupled,
            callback=show if callback else None,
        )
        made = self._picture(z, z_f, features, 0, size)
        if self.refiner is None:
            return made
        decoded = Pictures(made.fused, made.visible, made.infrared)
        refined: Pictures = self.refiner(visible, infrared, decoded)
        return Restored(refined.fused, refined.visible, refined.infrared, made.weight)

    def _picture(
        self, z: Latents, z_f: Tensor, features: Features, t: int, size: torch.Size
    ) -> Restored:
        h_visible, h_infrared = ([f.chunk(2)[i] for f in features] for i in (0, 1))
        made = (
            self.decode(z_f, mean_features(h_visible, h_infrared)),
            self.decode(z.visible, h_visible),
            self.decode(z.infrared, h_infrared),
        )
        w1, w2 = self.fusion.weights(*z, torch.full((len(z_f),), t, device=z_f.device))
        share = (w1 / (w1 + w2)).mean(1, keepdim=True)
        weight = F.interpolate(share, made[0].shape[-2:], mode="bilinear", align_corners=False)
        return Restored(*(picture[..., : size[0], : size[1]] for picture in (*made, weight)))

    def _pad(self, image: Tensor) -> Tensor:
        stride = self.arch.autoencoder.stride
        height, width = image.shape[-2:]
        pad = (0, -width % stride, 0, -height % stride)
        return F.pad(image, pad, mode="replicate") if any(pad) else image
