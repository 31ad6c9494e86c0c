"""A rendered street in haze, fused by ReCoFuse, as docs/images/street-day-haze.jpg."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.engine import Engine
from drfuse_cli.imageio import Image, write_image
from drfuse_cli.impairments import Haze, LowContrast, Stripes, impair_image
from drfuse_cli.operators.simulate import generator
from drfuse_cli.scenes import render
from drfuse_cli.weights import load_weights

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "street-day-haze.jpg"


def main() -> None:
    infrared, visible = render("street-day", 640, 480)
    rng = generator(0, "scene", "veil")
    given = (
        impair_image(infrared, (LowContrast(0.4, 0.3), Stripes(2.5)), rng),
        impair_image(visible, (Haze(0.5, 0.8, 0.15),), rng),
    )
    options = FuseOptions(method="recofuse", steps=6)
    engine = Engine(load_weights(None, "ivif", "recofuse"), options)
    made = engine.fuse(*given, (Degradation(), Degradation()))

    def rgb(image: Image) -> np.ndarray:
        return image.pixels if image.colour else np.repeat(image.pixels[..., None], 3, axis=2)

    rows = [(*given, visible), (*made.sources, made.fused)]
    write_image(TARGET, Image(np.vstack([np.hstack(list(map(rgb, row))) for row in rows])))


if __name__ == "__main__":
    main()
