"""Classical fusion without a network, as something to be better than.

All fuse luma; the chroma is that of the colour source. numpy and OpenCV only, but for the
closed-form lift.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from drfuse_cli.colour import CB_NOISE_GAIN, CR_NOISE_GAIN, LUMA_NOISE_GAIN, join, split
from drfuse_cli.config import Degradation
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.guided import guided
from drfuse_cli.imageio import Image

Plane = np.ndarray
"""Luma, H x W float32."""
Both = tuple[Image, Image]
Fuser = Callable[[Plane, Plane], Plane]
Restorer = Callable[[Image, Degradation, tuple[int, int]], Image]

_LEVELS = 5


# ---- fusion -----------------------------------------------------------------------------------


def average(a: Plane, b: Plane) -> Plane:
    """The mean of both."""
    return (a + b) / 2


def maximum(a: Plane, b: Plane) -> Plane:
    """The brighter of both, pixel by pixel."""
    return np.maximum(a, b)


def laplacian(a: Plane, b: Plane) -> Plane:
    """Laplacian pyramids: the larger absolute detail at every level, the mean of the bases.

    Five levels, fewer where an image is too small for them. Sources: Burt & Adelson, The
    Laplacian pyramid as a compact image code, 1983; the rule is that of Burt & Kolczynski,
    Enhanced image capture through fusion, 1993, without its match measure.
    """
    details: list[Plane] = []
    while len(details) < _LEVELS and min(a.shape) >= 4:
        (below_a, detail_a), (below_b, detail_b) = _reduce(a), _reduce(b)
        details.append(_stronger(detail_a, detail_b))
        a, b = below_a, below_b
    fused = average(a, b)
    for detail in reversed(details):
        fused = _expand(fused, detail) + detail
    return fused


def _reduce(x: Plane) -> tuple[Plane, Plane]:
    """The next level of the Gaussian pyramid, and what it lacks of this one."""
    below = np.asarray(cv2.pyrDown(x), np.float32)
    return below, x - _expand(below, x)


def _expand(x: Plane, like: Plane) -> Plane:
    return np.asarray(cv2.pyrUp(x, dstsize=like.shape[::-1]), np.float32)


def wavelet(a: Plane, b: Plane) -> Plane:
    """Undecimated Haar wavelets: the larger absolute coefficient, the mean of the approximations.

    Four levels, any size; borders are mirrored. Source: Rockinger, Image sequence fusion using
    a shift-invariant wavelet transform, 1997.
    """
    steps = [1, 2, 4, 8]
    margin = sum(steps)
    low_a, low_b = (np.pad(x, margin, mode="symmetric") for x in (a, b))
    details = []
    for step in steps:
        (low_a, *bands_a), (low_b, *bands_b) = _haar(low_a, step), _haar(low_b, step)
        details.append([_stronger(x, y) for x, y in zip(bands_a, bands_b, strict=True)])
    fused = average(low_a, low_b)
    for step, bands in zip(reversed(steps), reversed(details), strict=True):
        fused = _unhaar((fused, *bands), step)
    return fused[margin:-margin, margin:-margin]


def _haar(x: Plane, step: int) -> tuple[Plane, ...]:
    """Low-low, low-high, high-low and high-high band of taps that lie ``step`` apart."""
    low, high = _split(x, step, 0)
    return *_split(low, step, 1), *_split(high, step, 1)


def _unhaar(bands: tuple[Plane, ...], step: int) -> Plane:
    low, low_high, high_low, high_high = bands
    return _merge(_merge(low, low_high, step, 1), _merge(high_low, high_high, step, 1), step, 0)


def _split(x: Plane, step: int, axis: int) -> tuple[Plane, Plane]:
    shifted = np.roll(x, -step, axis)
    return (x + shifted) / 2, (x - shifted) / 2


def _merge(low: Plane, high: Plane, step: int, axis: int) -> Plane:
    """The mean of the two ways back: every sample stands in two sums and two differences."""
    return (low + high + np.roll(low - high, step, axis)) / 2


def _stronger(x: Plane, y: Plane) -> Plane:
    return np.where(np.abs(x) >= np.abs(y), x, y)


FUSERS: dict[str, Fuser] = {
    "average": average,
    "maximum": maximum,
    "laplacian": laplacian,
    "wavelet": wavelet,
    "guided": guided,
}


def fuse(sources: Both, fuser: Fuser) -> Image:
    """Fuse two images of one size; the result has the depth of the deeper one."""
    (luma_a, chroma_a), (luma_b, chroma_b) = (split(image) for image in sources)
    chroma = chroma_a if chroma_b is None else chroma_b
    return join(fuser(luma_a, luma_b), chroma, max(image.bits for image in sources))


# ---- restoration first ------------------------------------------------------------------------


def enlarge(image: Image, degradation: Degradation, shape: tuple[int, int]) -> Image:
    """No restoration: bicubic enlargement to ``shape`` = (H, W) where the image is smaller."""
    if (image.height, image.width) == shape:
        return image
    return Image(cv2.resize(image.pixels, shape[::-1], interpolation=cv2.INTER_CUBIC))


def lift(image: Image, degradation: Degradation, shape: tuple[int, int]) -> Image:
    """Deblurred, denoised and enlarged in closed form: see `drfuse_cli.restore`."""
    from drfuse_cli.restore import lift_image

    return lift_image(image, degradation, shape)


def restore(image: Image, degradation: Degradation, shape: tuple[int, int]) -> Image:
    """Non-local means at the stated noise, then the closed-form lift where there is more to undo.

    In 8 bits. The lift is told that half of the noise is left: of the shares tried, the one
    that brings most sources closest to the clean ones. Source of the denoiser: Buades, Coll &
    Morel, A non-local algorithm for image denoising, 2005, as in OpenCV.
    """
    std = degradation.noise_std
    quiet = _denoise(_in_8_bits(image), std) if std > 0 else _in_8_bits(image)
    left = replace(degradation, noise_std=std / 2)
    return quiet if replace(left, noise_std=0.0).is_clean else lift(quiet, left, shape)


def _in_8_bits(image: Image) -> Image:
    return image if image.bits == 8 else Image(((image.pixels + 128.0) // 257).astype(np.uint8))


def _denoise(image: Image, std: float) -> Image:
    """Luma and chroma apart: for the distance of two patches, colour would count three times."""
    if not image.colour:
        return Image(_non_local_means(image.pixels, std))
    ycc = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2YCrCb)
    gains = (LUMA_NOISE_GAIN, CR_NOISE_GAIN, CB_NOISE_GAIN)
    planes = [_non_local_means(ycc[..., i], std * gain) for i, gain in enumerate(gains)]
    return Image(np.asarray(cv2.cvtColor(np.dstack(planes), cv2.COLOR_YCrCb2RGB)))


def _non_local_means(plane: np.ndarray, std: float) -> np.ndarray:
    return np.asarray(cv2.fastNlMeansDenoising(np.ascontiguousarray(plane), None, std, 7, 21))


RESTORERS: dict[str, Restorer] = {"degraded": enlarge, "lift": lift, "restore": restore}


# ---- by name ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Baseline:
    """What the sources go through before fusion (`RESTORERS`), and how they are fused."""

    name: str
    restorer: str
    fuser: str


def baseline(name: str) -> Baseline:
    """``laplacian``, ``restore+laplacian``... Raises ``DrfuseError`` for any other name."""
    restorer, _, fuser = name.lower().rpartition("+")
    found = Baseline(name.lower(), restorer or "degraded", fuser)
    if fuser in FUSERS and found.restorer in RESTORERS and restorer != "degraded":
        return found
    near = difflib.get_close_matches(name.lower(), names(), n=3)
    raise DrfuseError(
        f"unknown baseline {name!r}",
        hint=f"Did you mean {' or '.join(near)}?" if near else f"Choose from {', '.join(names())}.",
    )


def names() -> tuple[str, ...]:
    """The names of all baselines."""
    fronts = ("", *(f"{restorer}+" for restorer in RESTORERS if restorer != "degraded"))
    return tuple(front + fuser for front in fronts for fuser in FUSERS)
