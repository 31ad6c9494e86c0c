"""Self-ensemble: what a network makes of mirrored and turned views of an image, averaged."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from drfuse_cli.networks.unet import pad_to_multiple


def over_views(run: Callable[[Tensor], Tensor], image: Tensor, count: int) -> Tensor:
    """The mean of ``run`` over the first ``count`` of the eight views, turned back.

    ``image``: ``B x C x H x W`` of any size; ``run`` keeps the size. From EDSR (Lim et al., CVPRW
    2017): in each view the network errs in another way.
    """
    if count == 1:
        return run(image)
    height, width = image.shape[-2:]
    # Filled up first, so that views of a part are halved where those of the whole are.
    padded = pad_to_multiple(image)
    made = (in_view(run, padded, view) for view in range(count))
    return (sum(made, torch.zeros(())) / count)[..., :height, :width]


def in_view(run: Callable[[Tensor], Tensor], image: Tensor, view: int) -> Tensor:
    """``run`` of one of the eight views, 0..7, turned back."""
    return _turned_back(run(_turned(image, view)), view)


def _turned(x: Tensor, view: int) -> Tensor:
    """Along the diagonal, then top and bottom, then left and right, by the bits of ``view``."""
    return _mirrored(x.mT if view & 4 else x, view)


def _turned_back(x: Tensor, view: int) -> Tensor:
    x = _mirrored(x, view)
    return x.mT if view & 4 else x


def _mirrored(x: Tensor, view: int) -> Tensor:
    return x.flip([dim for bit, dim in ((1, 3), (2, 2)) if view & bit])
