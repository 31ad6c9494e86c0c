"""What a pair of volumes has been through: one degradation a source for all of its slices."""

from __future__ import annotations

from dataclasses import replace

from drfuse_cli.config import Degradation, Task
from drfuse_cli.degradations import Mode, Overrides, assume
from drfuse_cli.imageio import Image
from drfuse_cli.medical.pair import MedicalPair

_LOOKED_AT, _BELIEVED = 15, 5


def assume_volumes(
    pair: MedicalPair, task: Task, mode: Mode, overrides: Overrides
) -> tuple[Degradation, Degradation]:
    """As `drfuse_cli.degradations.assume`, for volumes: the median over their fullest slices.

    Estimates that change from slice to slice would flicker, and empty slices have none.
    """
    found = [assume(task, mode, overrides, images) for images in _fullest(pair)]
    return _median([both[0] for both in found]), _median([both[1] for both in found])


def _fullest(pair: MedicalPair) -> list[tuple[Image, Image]]:
    """Those with the most contrast in both sources, of slices spread over the volume."""
    step = max(1, pair.slices // _LOOKED_AT)
    spread = [pair.images(k) for k in range((pair.slices - 1) % step // 2, pair.slices, step)]
    return sorted(spread, key=_contrast)[-_BELIEVED:]


def _contrast(images: tuple[Image, Image]) -> float:
    first, second = (float(image.pixels.std()) / image.max_value for image in images)
    return first * second


def _median(found: list[Degradation]) -> Degradation:
    noise, blur = (
        sorted(found, key=lambda one: getattr(one, name))[len(found) // 2]
        for name in ("noise_std", "blur_sigma")
    )
    origin = dict(blur.origin)
    if "noise_std" in noise.origin:
        origin["noise_std"] = noise.origin["noise_std"]
    return replace(blur, noise_std=noise.noise_std, origin=origin)
