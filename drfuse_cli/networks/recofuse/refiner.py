"""The refiner: what latents at an eighth of the resolution cannot say, added to the images."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drfuse_cli.networks.convolution import Conv
from drfuse_cli.networks.unet import UNet, conv, embedder, pad_to_multiple, shuffle, unshuffle

_BINS = 8
_NEARBY = 9
"""Columns that one is compared with."""
_SCENE = 0.06
"""What departs from the columns nearby by more belongs to the scene."""
_CHANGE = 0.1
"""What one unit of the last convolution changes, so that first steps are small."""
_LOUDER = 8.0
"""Stripes are a few grey levels; at this scale they are seen beside images."""


class Pictures(NamedTuple):
    """RGB ``B x 3 x H x W``, not clipped; ``infrared`` has three equal channels as it comes."""

    fused: Tensor
    visible: Tensor
    infrared: Tensor


def histogram(images: Tensor) -> Tensor:
    """Of each channel, ``B x C x H x W`` in 0..1: ``B x 8 C`` shares, linear between bins."""
    place = images.clamp(0, 1) * (_BINS - 1)
    bins = torch.arange(_BINS, device=images.device, dtype=images.dtype)
    near = [(1 - (place - at).abs()).clamp_min(0).mean((2, 3)) for at in bins]
    return torch.cat(near, dim=1)


def columns(image: Tensor) -> Tensor:
    """How much brighter each column is than those nearby all the way down, ``B x 1 x H x W``.

    Stripes of a sensor are that alone; edges of a scene end.
    """
    around = F.pad(image, (_NEARBY // 2, _NEARBY // 2, 0, 0), mode="replicate")
    apart = image - F.avg_pool2d(around, (1, _NEARBY), stride=1)
    return apart.clamp(-_SCENE, _SCENE).mean(2, keepdim=True).expand_as(image) * _LOUDER


class Refiner(UNet):
    """A U-Net that sees both sources as they came, and all that the latents made of them.

    It is told how grey levels are spread over each image, so that it can brighten a whole one,
    and sees the profile of the infrared columns. New, it changes nothing.
    """

    def __init__(self, width: int, embedding: int = 64) -> None:
        super().__init__()
        self.embed = embedder(_BINS * 8, embedding)
        self.entry = conv(4 * 12, width)
        self._add_levels((width, 3 * width // 2, 2 * width), (1, 2, 2), embedding)
        self.exit = Conv(width, 4 * 7)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)  # type: ignore[arg-type]

    def forward(self, visible: Tensor, infrared: Tensor, made: Pictures) -> Pictures:
        """``made`` of the sources, refined; ``visible`` and ``infrared`` as they came, RGB."""
        height, width = visible.shape[-2:]
        infrared, of_infrared = infrared[:, :1], made.infrared.mean(1, keepdim=True)
        both = torch.cat((visible, infrared, made.visible, of_infrared), dim=1)
        seen = torch.cat((both, made.fused, columns(infrared)), dim=1)
        h = self.entry(unshuffle(pad_to_multiple(seen - 0.5)))
        change = _CHANGE * shuffle(self.exit(self.walk(h, self.embed(histogram(both)))))
        to_fused, to_visible, to_infrared = torch.split(
            change[..., :height, :width], [3, 3, 1], dim=1
        )
        return Pictures(
            made.fused + to_fused, made.visible + to_visible, made.infrared + to_infrared
        )
