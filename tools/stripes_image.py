"""A rendered street whose thermal camera has stripes, fused by DRFusion, for docs/images."""

from __future__ import annotations

from recofuse_image import AUTO, write_rows

from drfuse_cli.config import FuseOptions
from drfuse_cli.degradations import assume
from drfuse_cli.engine import Engine
from drfuse_cli.impairments import Noise, Stripes, impair_image
from drfuse_cli.operators.simulate import generator
from drfuse_cli.scenes import render
from drfuse_cli.sources import take_pair
from drfuse_cli.weights import load_weights


def main() -> None:
    infrared, visible = render("street-night", 640, 480)
    rng = generator(0, "scene", "stripes")
    given = (
        impair_image(infrared, (Stripes(6.0), Noise(8.0)), rng),
        impair_image(visible, (Noise(8.0),), rng),
    )
    images, _ = take_pair(given, AUTO)
    engine = Engine(load_weights(None, "ivif", "drfusion"), FuseOptions())
    made = engine.fuse(*images, assume(AUTO.task, AUTO.mode, AUTO.overrides, images))
    write_rows("street-night-stripes", [(*given, infrared), (*made.sources, made.fused)])


if __name__ == "__main__":
    main()
