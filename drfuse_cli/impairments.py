"""Degradations that no linear operator describes: low light, haze, low contrast, stripes, noise.

Ranges are those found in the real degraded samples of the ReCoFuse data (MFNet, FMB, LLVIP);
images are ``H x W`` or ``H x W x 3``, floats in 0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import cv2
import numpy as np

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image

Kind = Literal["lowlight", "haze", "contrast", "stripes", "noise"]
KINDS: tuple[Kind, ...] = ("lowlight", "haze", "contrast", "stripes", "noise")
"""In the order in which light meets them: the scene, the air, the sensor."""

_LEVELS = 255.0


class Impairment(Protocol):
    """One degradation with its parameters drawn."""

    kind: ClassVar[Kind]

    def apply(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...


@dataclass(frozen=True)
class LowLight:
    """A tone curve ``x ** (exponent + rise x)``, which darkens midtones more than shadows."""

    kind: ClassVar[Kind] = "lowlight"
    exponent: float
    rise: float

    def apply(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        dark: np.ndarray = np.clip(image, 0, 1) ** (self.exponent + self.rise * image)
        return dark


@dataclass(frozen=True)
class Haze:
    """``t x + (1 - t) airlight`` with transmission that falls smoothly towards the distance.

    ``transmission`` is its mean over the image and ``depth`` how far it departs from it
    (Koschmieder's law with a smooth random depth).
    """

    kind: ClassVar[Kind] = "haze"
    transmission: float
    airlight: float
    depth: float

    def apply(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = image.shape[:2]
        coarse = rng.normal(0, 1, (4, 4)) + np.linspace(1, -1, 4)[:, None]
        far = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        far = (far - far.mean()) / (far.std() + 1e-6)
        t: np.ndarray = np.clip(self.transmission * np.exp(-self.depth * far), 0.1, 0.95)
        t = t[..., None] if image.ndim == 3 else t
        hazy: np.ndarray = t * image + (1 - t) * self.airlight
        return hazy


@dataclass(frozen=True)
class LowContrast:
    """``gain x ** compression + offset``; the black level rises, the span shrinks."""

    kind: ClassVar[Kind] = "contrast"
    gain: float
    offset: float
    compression: float = 1.0

    def apply(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        flat: np.ndarray = self.gain * np.clip(image, 0, 1) ** self.compression + self.offset
        return flat


@dataclass(frozen=True)
class Stripes:
    """Offsets of ``std`` grey levels (0..255) on a ``share`` of the columns.

    White across them, or bands: smoothed by a Gaussian of ``band`` columns and as strong as before.
    """

    kind: ClassVar[Kind] = "stripes"
    std: float
    share: float = 1.0
    band: float = 0.0

    def apply(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        width = image.shape[1]
        offsets = rng.normal(0, self.std / _LEVELS, (width,)) * (rng.random(width) < self.share)
        if self.band:
            smooth = cv2.GaussianBlur(offsets[None], (0, 0), self.band)[0]
            offsets = smooth * np.sqrt(2 * np.sqrt(np.pi) * self.band)
        return image + (offsets[:, None] if image.ndim == 3 else offsets)


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise of ``std`` grey levels (0..255), each channel its own."""

    kind: ClassVar[Kind] = "noise"
    std: float

    def apply(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return image + rng.normal(0, self.std / _LEVELS, image.shape)


def _low_light(rng: np.random.Generator) -> LowLight:
    return LowLight(rng.uniform(1.1, 1.7), rng.uniform(0.3, 2.2))


def _haze(rng: np.random.Generator) -> Haze:
    return Haze(rng.uniform(0.33, 0.75), rng.uniform(0.72, 0.9), rng.uniform(0.05, 0.35))


def _low_contrast(rng: np.random.Generator) -> LowContrast:
    gain = rng.uniform(0.28, 0.75)
    offset = rng.uniform(0.2, min(0.5, 1 - gain))
    return LowContrast(gain, offset, rng.uniform(0.8, 1.0))


def _stripes(rng: np.random.Generator) -> Stripes:
    sparse = rng.random() < 0.3
    return Stripes(rng.uniform(1.5, 4.0) * (2 if sparse else 1), 0.25 if sparse else 1.0)


def _noise(rng: np.random.Generator) -> Noise:
    return Noise(rng.uniform(4.0, 16.0))


_DRAW: dict[Kind, Callable[[np.random.Generator], Impairment]] = {
    "lowlight": _low_light,
    "haze": _haze,
    "contrast": _low_contrast,
    "stripes": _stripes,
    "noise": _noise,
}


def _wide_contrast(rng: np.random.Generator) -> LowContrast:
    gain = rng.uniform(0.28, 0.9)
    return LowContrast(gain, rng.uniform(0.12, min(0.5, 1.05 - gain)), rng.uniform(0.8, 1.0))


def _wide_stripes(rng: np.random.Generator) -> Stripes:
    pattern = rng.choice(("white", "bands", "sparse"), p=(0.4, 0.35, 0.25))
    if pattern == "bands":
        return Stripes(rng.uniform(1.5, 5.0), band=rng.uniform(0.8, 2.5))
    if pattern == "sparse":
        return Stripes(rng.uniform(3.0, 8.0), share=0.25)
    return Stripes(float(np.exp(rng.uniform(np.log(1.5), np.log(9.0)))))


def _wide_low_light(rng: np.random.Generator) -> LowLight:
    return LowLight(rng.uniform(1.1, 2.6), rng.uniform(0.3, 2.2))


_WIDE: dict[Kind, Callable[[np.random.Generator], Impairment]] = {
    **_DRAW,
    "lowlight": _wide_low_light,
    "contrast": _wide_contrast,
    "stripes": _wide_stripes,
}


def draw(kind: Kind, rng: np.random.Generator, *, wide: bool = False) -> Impairment:
    """One degradation with parameters from the measured ranges.

    ``wide``: from ranges that hold other real pairs too, of MSRS and M3SVD, whose stripes come
    in bands or are twice as strong, whose infrared keeps more of its span, and whose nights
    are darker.
    """
    return (_WIDE if wide else _DRAW)[kind](rng)


def impair(
    image: np.ndarray,
    impairments: tuple[Impairment, ...],
    rng: np.random.Generator,
    white: float = _LEVELS,
) -> np.ndarray:
    """The image after all of them in physical order, float32, clipped to 0..1.

    It is rounded as a file rounds whose white is at level ``white``: 255, or 65535 of 16 bits.
    """
    for one in sorted(impairments, key=lambda i: KINDS.index(i.kind)):
        image = one.apply(image, rng)
    rounded: np.ndarray = np.rint(np.clip(image, 0, 1) * white) / white
    return rounded.astype(np.float32)


def impair_image(
    image: Image, impairments: tuple[Impairment, ...], rng: np.random.Generator
) -> Image:
    """The same for an image as it stands in a file; depth and colour stay."""
    if not impairments:
        return image
    white = image.max_value
    degraded = impair(image.pixels / np.float64(white), impairments, rng, white)
    pixels = np.rint(degraded.astype(np.float64) * white).astype(image.pixels.dtype)
    return replace(image, pixels=pixels, path=None, sha256=None)


def describe(impairment: Impairment) -> dict[str, Any]:
    """Its kind and parameters, as plain numbers."""
    return {"kind": impairment.kind, **asdict(impairment)}  # type: ignore[call-overload]


VISIBLE: dict[Kind, float] = {"lowlight": 0.35, "haze": 0.35, "contrast": 0.15, "noise": 0.5}
INFRARED: dict[Kind, float] = {"contrast": 0.65, "stripes": 0.5, "noise": 0.5}
"""How often each kind meets a source; the rest of the draws leave it clean."""


def draw_all(
    odds: dict[Kind, float], rng: np.random.Generator, *, wide: bool = False
) -> tuple[Impairment, ...]:
    """Several at once, each with its own odds; haze and darkness do not come together."""
    kinds = [kind for kind, p in odds.items() if rng.random() < p]
    if "lowlight" in kinds and "haze" in kinds:
        kinds.remove("lowlight" if rng.random() < 0.5 else "haze")
    return tuple(draw(kind, rng, wide=wide) for kind in kinds)
