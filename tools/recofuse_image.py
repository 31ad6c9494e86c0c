"""Rendered streets in haze and at night, fused by ReCoFuse, for docs/images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.degradations import Overrides
from drfuse_cli.engine import Engine
from drfuse_cli.imageio import Image, write_image
from drfuse_cli.impairments import Haze, Impairment, LowContrast, LowLight, Stripes, impair_image
from drfuse_cli.operators.simulate import generator
from drfuse_cli.scenes import render
from drfuse_cli.sources import Assumptions, take_pair
from drfuse_cli.weights import load_weights

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images"
AUTO = Assumptions("ivif", "auto", Overrides(), destripe="auto")
VEILED: tuple[Impairment, ...] = (LowContrast(0.4, 0.3), Stripes(2.5))
PICTURES: dict[str, tuple[str, Impairment]] = {
    "street-day-haze": ("street-day", Haze(0.5, 0.8, 0.15)),
    "street-night-dark": ("street-night", LowLight(1.6, 1.0)),
}
"""By name: the scene, and what the visible camera has of it."""


def rgb(image: Image) -> np.ndarray:
    return image.pixels if image.colour else np.repeat(image.pixels[..., None], 3, axis=2)


def write_rows(name: str, rows: Sequence[Sequence[Image]]) -> None:
    """Pictures of one size side by side, row under row."""
    stacked = np.vstack([np.hstack(list(map(rgb, row))) for row in rows])
    write_image(TARGET / f"{name}.jpg", Image(stacked))


def main() -> None:
    options = FuseOptions(method="recofuse", steps=6)
    engine = Engine(load_weights(None, "ivif", "recofuse"), options)
    for name, (scene, impairment) in PICTURES.items():
        infrared, visible = render(scene, 640, 480)
        rng = generator(0, "scene", "veil")
        given = impair_image(infrared, VEILED, rng), impair_image(visible, (impairment,), rng)
        made = engine.fuse(*take_pair(given, AUTO)[0], (Degradation(), Degradation()))
        write_rows(name, [(*given, visible), (*made.sources, made.fused)])


if __name__ == "__main__":
    main()
