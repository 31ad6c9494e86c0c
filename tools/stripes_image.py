"""A rendered street whose thermal camera has stripes, fused by DRFusion, for docs/images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from drfuse_cli.config import FuseOptions
from drfuse_cli.degradations import Overrides, assume
from drfuse_cli.engine import Engine
from drfuse_cli.imageio import Image, write_image
from drfuse_cli.impairments import Noise, Stripes, impair_image
from drfuse_cli.operators.simulate import generator
from drfuse_cli.scenes import render
from drfuse_cli.sources import Assumptions, take_pair
from drfuse_cli.weights import load_weights

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "street-night-stripes.jpg"
AUTO = Assumptions("ivif", "auto", Overrides(), destripe="auto")


def rgb(image: Image) -> np.ndarray:
    return image.pixels if image.colour else np.repeat(image.pixels[..., None], 3, axis=2)


def main() -> None:
    infrared, visible = render("street-night", 640, 480)
    rng = generator(0, "scene", "stripes")
    given = (
        impair_image(infrared, (Stripes(6.0), Noise(8.0)), rng),
        impair_image(visible, (Noise(8.0),), rng),
    )
    images, _ = take_pair(given, AUTO)
    engine = Engine(load_weights(None, "ivif", "drfusion"), FuseOptions())
    made = engine.fuse(*images, assume("ivif", "auto", Overrides(), images))
    rows = [(*given, infrared), (*made.sources, made.fused)]
    write_image(TARGET, Image(np.vstack([np.hstack(list(map(rgb, row))) for row in rows])))


if __name__ == "__main__":
    main()
