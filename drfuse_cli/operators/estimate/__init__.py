"""What a file tells about its own degradation, each finding with a confidence and a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drfuse_cli.operators.estimate.blur import LEAST_BLUR, NOISY, blur_of, most_blur_of
from drfuse_cli.operators.estimate.border import darkened, zero_border
from drfuse_cli.operators.estimate.enlarged import enlargement
from drfuse_cli.operators.estimate.findings import ENOUGH, Estimate, SourceEstimate
from drfuse_cli.operators.estimate.jpeg import compression
from drfuse_cli.operators.estimate.look import look_at
from drfuse_cli.operators.estimate.noise import noise_of
from drfuse_cli.operators.estimate.planes import channels_of, luma
from drfuse_cli.operators.estimate.stripes import striping

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image

__all__ = [
    "ENOUGH",
    "LEAST_BLUR",
    "NOISY",
    "Estimate",
    "SourceEstimate",
    "estimate",
    "has_zero_border",
]


def estimate(image: Image) -> SourceEstimate:
    """Everything at once. Deterministic; of an image larger than 1536 pixels, the middle."""
    step = 255 / image.max_value
    channels = channels_of(image)
    grey = luma(channels)
    looks = [look_at(plane, step) for plane in channels]
    noises = tuple(noise_of(look) for look in looks)
    grey_look = looks[0] if len(looks) == 1 else look_at(grey, step)
    return SourceEstimate(
        noise=sorted(noises, key=lambda one: one.value)[len(noises) // 2],
        channels=noises,
        blur=blur_of(grey_look),
        most_blur=most_blur_of(grey_look),
        scale=enlargement(grey),
        zero_border=zero_border(grey),
        jpeg=compression(grey),
        stripes=striping(grey),
    )


def has_zero_border(image: Image, blur_sigma: float, scale: int = 1) -> bool:
    """Whether an image was blurred with zero padding, which darkens its borders.

    ``blur_sigma`` in pixels of the full resolution, ``scale`` how many times smaller the
    file is. False where the effect would be too small to tell.
    """
    return darkened(luma(channels_of(image)), blur_sigma, scale)
