"""What taking stripes out of infrared sources is worth.

    python bench/stripes/run.py --data DIR [--limit N] [--seed N]

Every infrared source of ``--data`` (clean pairs, ``ir`` + ``vis``) gets stripes, alone and with
noise, and comes through ``drfuse fuse --degrade auto`` with ``--destripe none`` and with ``auto``,
and through ``--method recofuse``. Prints in how many files stripes are found, and the PSNR in dB of
the infrared source against the clean one: as it comes, without its stripes, and restored.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from drfuse_cli.colour import luma8
from drfuse_cli.config import Degradation, Destripe, FuseOptions, Method
from drfuse_cli.degradations import Overrides, assume
from drfuse_cli.engine import Engine
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.impairments import Impairment, Noise, Stripes, impair_image
from drfuse_cli.metrics import psnr
from drfuse_cli.operators.simulate import generator
from drfuse_cli.pairs import find_pairs
from drfuse_cli.sources import Assumptions, take_pair
from drfuse_cli.weights import load_weights

SETTINGS: dict[str, tuple[Impairment, ...]] = {
    "none": (),
    "std 1": (Stripes(1.0),),
    "std 2": (Stripes(2.0),),
    "std 5": (Stripes(5.0),),
    "bands of std 3": (Stripes(3.0, band=1.5),),
    "std 5 on a quarter": (Stripes(5.0, share=0.25),),
    "std 3, noise 8": (Stripes(3.0), Noise(8.0)),
    "noise 8": (Noise(8.0),),
}
COLUMNS = ("found", "as it comes", "taken out", "DRFusion, left in", "DRFusion", "ReCoFuse")


def engine(method: Method, steps: int) -> Engine:
    return Engine(load_weights(None, "ivif", method), FuseOptions(method=method, steps=steps))


class Bench:
    def __init__(self) -> None:
        self.drfusion, self.recofuse = engine("drfusion", 3), engine("recofuse", 6)

    def row(self, infrared: Image, visible: Image, clean: np.ndarray) -> list[float]:
        """One pair, in the order of ``COLUMNS``; ``found`` is 0 or 1."""

        def taken(mode: Destripe) -> tuple[tuple[Image, Image], bool]:
            told = Assumptions("ivif", "auto", Overrides(), destripe=mode)
            images, intake = take_pair((infrared, visible), told)
            return images, intake.stripes is not None

        def restored(images: tuple[Image, Image]) -> Image:
            assumed = assume("ivif", "auto", Overrides(), images)
            return self.drfusion.fuse(*images, assumed).sources[0]

        rid, found = taken("auto")
        made = restored(taken("none")[0]), restored(rid), self.learned(rid)
        return [found, *(psnr(luma8(i), clean) for i in (infrared, rid[0], *made))]

    def learned(self, images: tuple[Image, Image]) -> Image:
        return self.recofuse.fuse(*images, (Degradation(), Degradation())).sources[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    bench = Bench()
    print(f"| stripes | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for name, impairments in SETTINGS.items():
        rows = []
        for pair in find_pairs(options.data, "ivif")[: options.limit]:
            infrared, visible = read_image(pair.source1), read_image(pair.source2)
            rng = generator(options.seed, pair.name, "ir")
            seen = impair_image(infrared, impairments, rng) if impairments else infrared
            rows.append(bench.row(seen, visible, luma8(infrared)))
        means = np.mean(rows, axis=0)
        cells = [f"{sum(row[0] for row in rows):.0f} of {len(rows)}"]
        cells += ["" if np.isinf(mean) else f"{mean:.2f}" for mean in means[1:]]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
