"""ReCoFuse on real degraded pairs that come with references.

    python bench/recofuse/real.py --data DIR --out DIR [--weights FILE] [--steps N]
        [--restore-first]

``--data`` holds ``ir/LQ``, ``ir/HQ``, ``vi/LQ`` and ``vi/HQ`` with the same names. Prints the PSNR
of both sources against their references, as they came and restored, and writes the fused and the
restored images to look at. References of nights are often enhanced photographs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from drfuse_cli.config import FuseOptions
from drfuse_cli.degradations import Overrides, assume
from drfuse_cli.engine import Engine
from drfuse_cli.imageio import Image, read_image, write_image
from drfuse_cli.metrics import psnr
from drfuse_cli.sources import Assumptions, take_pair
from drfuse_cli.weights import load_weights

SOURCES = ("ir", "vi")
AUTO = Assumptions("ivif", "auto", Overrides(), destripe="auto")


def compared(image: Image, reference: Image) -> float:
    """Of all channels together; an infrared reference in three channels is grey."""
    seen, wanted = image.pixels, reference.pixels
    if seen.ndim < wanted.ndim:
        wanted = np.rint(wanted.mean(-1)).astype(wanted.dtype)
    return psnr(seen.reshape(len(seen), -1), wanted.reshape(len(wanted), -1))


def rows(engine: Engine, data: Path, out: Path) -> Iterator[tuple[str, list[float]]]:
    for file in sorted((data / "ir" / "LQ").iterdir()):
        seen, wanted = (
            [read_image(data / source / quality / file.name) for source in SOURCES]
            for quality in ("LQ", "HQ")
        )
        images, _ = take_pair((seen[0], seen[1]), AUTO)
        assumed = assume("ivif", "auto", Overrides(), images)
        result = engine.fuse(*images, assumed)  # without --restore-first sizes alone count
        for name, image in zip(("fused", *SOURCES), (result.fused, *result.sources), strict=True):
            (out / name).mkdir(parents=True, exist_ok=True)
            write_image(out / name / f"{file.stem}.png", image)
        found = [
            compared(image, reference)
            for before, after, reference in zip(seen, result.sources, wanted, strict=True)
            for image in (before, after)
        ]
        yield file.stem, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--restore-first", action="store_true")
    options = parser.parse_args()
    first = options.restore_first
    wanted = FuseOptions(method="recofuse", steps=options.steps, restore_first=first)
    engine = Engine(load_weights(options.weights, "ivif", "recofuse"), wanted)
    print("| pair | infrared | restored | visible | restored |\n|---|---|---|---|---|")
    found = []
    for name, values in rows(engine, options.data, options.out):
        found.append(values)
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |")
    print("| mean | " + " | ".join(f"{value:.2f}" for value in np.mean(found, axis=0)) + " |")


if __name__ == "__main__":
    main()
