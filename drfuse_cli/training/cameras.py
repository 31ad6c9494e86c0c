"""How ReCoFuse meets a pair: as files show it, or restored by DRFusion as under --restore-first.

What DRFusion leaves of noise, blur and pooling is not what there would be without them: grain is
gone, and edges are softer or sharper than the scene's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.degradations.stripes import find_stripes
from drfuse_cli.engine import Engine
from drfuse_cli.imageio import Image
from drfuse_cli.impairments import (
    INFRARED,
    VISIBLE,
    Impairment,
    Kind,
    Noise,
    Stripes,
    draw_all,
    impair,
)
from drfuse_cli.operators.simulate import degrade_image
from drfuse_cli.weights import load_weights

Pictures = tuple[np.ndarray, np.ndarray]
"""Infrared ``B x S x S`` and visible ``B x S x S x 3``, float32 in 0..1."""

See = Callable[[np.ndarray, np.ndarray, np.random.Generator], Pictures]
"""What becomes of clean pairs."""

Drawn = tuple[Impairment, ...]

_AS_IT_IS = 0.35
"""Of the pairs: not everyone restores first."""
_BLURRED, _SIGMA = 0.4, (0.5, 2.5)
"""How often optics blur a source, and by how many pixels."""
_POOLED = 0.2
"""How often the infrared source is pooled, by two or by four."""
_OFF = 0.08
"""Of a stated noise or blur, as a logarithm: as far as estimates are off."""


def as_it_is(infrared: np.ndarray, visible: np.ndarray, rng: np.random.Generator) -> Pictures:
    """Degradations drawn for each source on its own; nothing is undone first but stripes."""
    first = [_rid_of_stripes(_image(impair(x, _drawn(INFRARED, rng), rng))) for x in infrared]
    second = [impair(x, _drawn(VISIBLE, rng), rng) for x in visible]
    return np.stack([_pixels(image) for image in first]), np.stack(second)


class Cameras:
    """Cameras that blur and pool as well, and DRFusion with its bundled weights behind them."""

    def __init__(self, device: str) -> None:
        self.engine = Engine(load_weights(None, "ivif"), FuseOptions(device=device))

    def __call__(
        self, infrared: np.ndarray, visible: np.ndarray, rng: np.random.Generator
    ) -> Pictures:
        seen = [
            as_it_is(*pair, rng) if rng.random() < _AS_IT_IS else self._restored(*pair, rng)
            for pair in zip(infrared[:, None], visible[:, None], strict=True)
        ]
        first, second = (np.concatenate(images) for images in zip(*seen, strict=True))
        return first, second

    def _restored(
        self, infrared: np.ndarray, visible: np.ndarray, rng: np.random.Generator
    ) -> Pictures:
        """Of one pair. Noise and stripes that are drawn are those of the file, after the optics."""
        drawn = _drawn(INFRARED, rng), _drawn(VISIBLE, rng)
        true = _optics(drawn[0], rng, infrared=True), _optics(drawn[1], rng, infrared=False)
        files = (
            _file(infrared[0], drawn[0], true[0], rng),
            _file(visible[0], drawn[1], true[1], rng),
        )
        if not all(degradation.is_clean for degradation in true):
            said = _stated(true[0], rng), _stated(true[1], rng)
            files = self.engine.fuse(*files, said).sources
        return _pixels(files[0])[None], _pixels(files[1])[None]


def _drawn(odds: dict[Kind, float], rng: np.random.Generator) -> Drawn:
    return draw_all(odds, rng, wide=True)


def _optics(drawn: Drawn, rng: np.random.Generator, *, infrared: bool) -> Degradation:
    noise = sum(one.std for one in drawn if isinstance(one, Noise))
    sigma = rng.uniform(*_SIGMA) if rng.random() < _BLURRED else 0.0
    pooled = infrared and rng.random() < _POOLED
    return Degradation(noise, sigma, int(rng.choice([2, 4])) if pooled else 1)


def _file(scene: np.ndarray, drawn: Drawn, optics: Degradation, rng: np.random.Generator) -> Image:
    tones = tuple(one for one in drawn if not isinstance(one, Noise | Stripes))
    image = degrade_image(_image(impair(scene, tones, rng)), optics, rng)
    stripes = tuple(one for one in drawn if isinstance(one, Stripes))
    if not stripes:
        return image
    return _rid_of_stripes(_image(impair(_pixels(image), stripes, rng)))


def _stated(true: Degradation, rng: np.random.Generator) -> Degradation:
    noise, blur = np.exp(rng.normal(0, _OFF, 2))
    return Degradation(true.noise_std * noise, true.blur_sigma * blur, true.sr_scale)


def _rid_of_stripes(image: Image) -> Image:
    """As a picture is taken that is to be fused: without the stripes that it shows."""
    found = find_stripes(image, "auto")
    return image if found is None else found.taken_out(image)


def _image(pixels: np.ndarray) -> Image:
    return Image(np.rint(255 * pixels).astype(np.uint8))


def _pixels(image: Image) -> np.ndarray:
    return image.pixels.astype(np.float32) / 255
