"""The observation denoiser: what a source would have shown without its noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from drfuse_cli.networks.convolution import Conv
from drfuse_cli.networks.unet import (
    UNet,
    conv,
    embedder,
    pad_to_multiple,
    shuffle,
    unshuffle,
    up_to_multiple,
)

_MOST_BLURRED = 3
"""Pixels, as far as training goes: told of more, it makes pictures up."""


class Denoiser(UNet):
    """A U-Net on pixel-unshuffled luminance, told how noisy and how blurred it is.

    It sees one source at its own resolution, before any operator is inverted, where the noise
    is still white and clipped at black and white as in the file. Colour differences vary little
    and share the noise of luminance: they show a good part of it.
    """

    def __init__(self, width: int, embedding: int, blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.blocks = blocks
        self.embed = embedder(2, embedding)
        self.entry = conv(4 * 3, width)
        self._add_levels((width, 3 * width // 2, 2 * width), blocks, embedding)
        self.noise_head = Conv(width, 4)
        nn.init.zeros_(self.noise_head.weight)
        nn.init.zeros_(self.noise_head.bias)  # type: ignore[arg-type]

    @property
    def reach(self) -> int:
        """Pixels around one beyond which it does not look, a multiple of 8."""
        half, quarter, eighth = self.blocks
        return up_to_multiple(16 + 8 * half + 16 * quarter + 16 * eighth)

    def forward(self, y: Tensor, chroma: Tensor, noise_std: Tensor, blur_sigma: Tensor) -> Tensor:
        """Luminance ``y`` without its noise, ``B x 1 x h x w`` of any size, in image range.

        ``chroma``: ``B x 2 x h x w`` around 0, all 0 of a grey source; ``noise_std`` of luminance
        in grey levels (0..255) and ``blur_sigma`` in pixels of ``y``: ``B`` each.
        """
        height, width = y.shape[-2:]
        blur = blur_sigma.clamp_max(_MOST_BLURRED) / _MOST_BLURRED
        told = torch.stack((torch.log2(1 + noise_std) / 5, blur), dim=1)
        seen = pad_to_multiple(torch.cat((y - 0.5, chroma), dim=1))
        h = self.walk(self.entry(unshuffle(seen)), self.embed(told))
        noise = shuffle(self.noise_head(h))[..., :height, :width]
        # In units of the noise that is stated, so that every level is as hard to learn.
        return y - noise_std[:, None, None, None] / 255 * noise
