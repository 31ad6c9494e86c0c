"""Training the observation denoiser: sources as files show them, with and without noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drfuse_cli.colour import LUMA_NOISE_GAIN
from drfuse_cli.config import VIEWS, PresetName, Task, preset
from drfuse_cli.networks.views import in_view
from drfuse_cli.operators.build import gaussian_operator
from drfuse_cli.training.data import CleanPair, draw_crops, through_colour_map
from drfuse_cli.training.degradations import to_ycbcr
from drfuse_cli.training.variety import as_other_cameras

_PUBLISHED_SHARE = 0.6
_PUBLISHED: dict[PresetName, float] = {"noise": 0.75, "composite": 0.25}
_BLURRED, _POOLED, _GREY, _SHRUNK = 0.4, 0.3, 0.25, 0.4
_MISSTATED, _OFF = 0.35, 0.5
"""How often the noise is stated wrongly, and by which factor at most, as a logarithm."""

_TAUGHT_VIEWS = 2
"""Of the eight that a teacher could see: enough, since others come in later steps."""


@dataclass(frozen=True)
class Seen:
    """Luminance with and without noise, ``B x 1 x h x w``, and noisy chroma, ``B x 2``.

    Noise of luminance in grey levels, as it is and as it is stated, and blur in pixels of these
    images, ``B`` each.
    """

    noisy: Tensor
    chroma: Tensor
    clean: Tensor
    noise_std: Tensor
    stated_std: Tensor
    blur_sigma: Tensor

    def to(self, device: torch.device) -> Seen:
        return Seen(**{name: each.to(device) for name, each in vars(self).items()})


def _draw(
    task: Task, index: int, count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, int]:
    """Noise of the file and blur of the scene, ``B`` each, and the scale."""
    if rng.random() < _PUBLISHED_SHARE:
        name = str(rng.choice(list(_PUBLISHED), p=list(_PUBLISHED.values())))
        d = preset(task, name)[index]  # type: ignore[arg-type]
        noise = d.noise_std * rng.uniform(0.85, 1.15, count)
        blur = d.blur_sigma * rng.uniform(0.9, 1.1, count)
        scale = d.sr_scale
    else:
        noise = np.exp(rng.uniform(np.log(1), np.log(30), count))
        blur = np.where(rng.random(count) < _BLURRED, rng.uniform(0.3, 3, count), 0)
        scale = int(rng.choice([2, 4])) if rng.random() < _POOLED else 1
    return torch.from_numpy(noise).float(), torch.from_numpy(blur).float(), scale


def see(
    pairs: list[CleanPair], task: Task, count: int, size: int, rng: np.random.Generator
) -> list[Seen]:
    """Crops of both sources as their files would show them: blurred, pooled, noisy, clipped."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    scenes = task == "ivif"
    first, rgb, _ = draw_crops(
        pairs,
        count,
        size,
        rng,
        colourise=scenes,
        shrunk=_SHRUNK,
        vary=as_other_cameras if scenes else None,
    )
    if task == "medical":
        rgb = np.stack([_as_activity(image, rng) for image in rgb])
    found = []
    for index, x in enumerate(map(torch.from_numpy, (first, rgb))):
        noise, blur, scale = _draw(task, index, count, rng)
        shown = gaussian_operator(blur, (size, size), scale).A(x)
        file = shown + noise[:, None, None, None] / 255 * torch.randn(
            shown.shape, generator=generator
        )
        file = (file.clamp(0, 1) * 255 + 0.5).floor() / 255
        if index:
            # A grey file has one channel, so its noise is not averaged into luminance.
            colour = (x[:, 1:] - x[:, :1]).abs().amax((1, 2, 3)) > 1e-4
            noise = noise * torch.where(colour, LUMA_NOISE_GAIN, 1.0)
            file = torch.where(colour[:, None, None, None], file, file[:, :1])
            file, shown = to_ycbcr(file), to_ycbcr(shown)[:, :1]
        else:
            file = F.pad(file, (0, 0, 0, 0, 0, 2))
        said = noise * _misstatement(count, rng)
        found.append(Seen(file[:, :1], file[:, 1:], shown, noise, said, blur / scale))
    return found


def _misstatement(count: int, rng: np.random.Generator) -> Tensor:
    """Stated noise over true noise: told the truth alone, a denoiser trusts it without a look."""
    off = np.exp(rng.uniform(-_OFF, _OFF, count))
    return torch.from_numpy(np.where(rng.random(count) < _MISSTATED, off, 1)).float()


@torch.no_grad()
def taught(
    seen: Seen,
    teacher: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] | None,
    share: float,
    rng: np.random.Generator,
) -> Tensor:
    """What to find, ``B x 1 x h x w``: ``share`` of it from the teacher if any, the rest clean.

    The teacher, an earlier denoiser, is told the noise as it is and sees two views of each crop at
    random. What no network could know is not in what it says, so that a gradient towards it is
    steadier than one towards the clean source.
    """
    if teacher is None:
        return seen.clean
    files = torch.cat((seen.noisy, seen.chroma), dim=1)

    def restored(file: Tensor) -> Tensor:
        return teacher(file[:, :1], file[:, 1:], seen.noise_std, seen.blur_sigma)

    views = rng.permutation(VIEWS)[:_TAUGHT_VIEWS]
    made = torch.stack([in_view(restored, files, int(view)) for view in views]).mean(0)
    return torch.lerp(seen.clean, made, share)


def _as_activity(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``3 x S x S``, mostly in colours, which share what they show and not their noise."""
    if rng.random() < _GREY:
        return image
    return through_colour_map(image[0], rng).transpose(2, 0, 1).astype(np.float32)


_FLOOR = (0.25 / 255) ** 2


def denoising_loss(restored: Tensor, clean: Tensor) -> Tensor:
    """Minus the PSNR over ten, in bels: every picture counts alike, however smooth it is."""
    error = (restored - clean).square().mean((1, 2, 3))
    return torch.log10(error + _FLOOR).mean()
