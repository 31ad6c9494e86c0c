"""Multi-focus pairs against the picture that is sharp everywhere.

    python bench/quality/reference.py --data DIR [--presets none,noise,blur] [--limit N]

``DIR`` holds ``a`` and ``b``, two foci of one scene, and ``reference``, with equal file names.
Luma PSNR (dB) and SSIM of what drfuse and classical fusions make of them, as they are and
degraded, the parameters known. A baseline restores first where there is something to restore.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from drfuse_cli.colour import luma8
from drfuse_cli.config import FuseOptions, PresetName, preset
from drfuse_cli.engine import Engine
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.baselines import FUSERS, RESTORERS, fuse
from drfuse_cli.evaluation.cases import Case, clean_pairs, crop, make_case, size_of
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.metrics import psnr, score
from drfuse_cli.weights import load_weights

TASK = "multifocus"
SEED = 2026


def fused(engine: Engine, case: Case) -> Iterator[tuple[str, Image]]:
    """By name: the picture of drfuse, and of every classical fusion."""
    yield "drfuse", engine.fuse(*case.degraded, case.degradations).fused
    size = size_of(case.clean[0])
    restore = RESTORERS["degraded" if case.is_clean else "restore"]
    first, second = (
        restore(image, degradation, size)
        for image, degradation in zip(case.degraded, case.degradations, strict=True)
    )
    for name, fuser in FUSERS.items():
        yield name if case.is_clean else f"restore+{name}", fuse((first, second), fuser)


def reference_of(folder: Path, name: str) -> Image:
    found = sorted((folder / "reference").glob(f"{name}.*"))
    if not found:
        raise DrfuseError(f"no reference for {name}", path=folder / "reference")
    return read_image(found[0])


def rows(engine: Engine, data: Path, name: PresetName, limit: int | None) -> Iterator[str]:
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for pair in clean_pairs(data, TASK)[:limit]:
        case = make_case(pair, preset(TASK, name), SEED)
        reference = reference_of(data, pair.name)
        sharp = luma8(crop((reference, reference), size_of(case.clean[0]))[0])
        for method, image in fused(engine, case):
            grey = luma8(image)
            ssim = score(sharp, sharp, grey, ["SSIM"])["SSIM"].value
            found[method].append((psnr(grey, sharp), ssim or 0.0))
    for method, values in found.items():
        db, ssim = np.mean(values, axis=0)
        yield f"| {name} | {method} | {db:.2f} | {ssim:.4f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folders a, b and reference")
    parser.add_argument("--presets", default="none,noise,blur", help="comma-separated")
    parser.add_argument("--weights", help="name, file or hub address; default: the task's own")
    parser.add_argument("--limit", type=int, help="the first pairs only")
    options = parser.parse_args()
    engine = Engine(load_weights(options.weights, TASK), FuseOptions(task=TASK))
    print("| preset | method | PSNR | SSIM |\n|---|---|---|---|")
    for name in options.presets.split(","):
        for row in rows(engine, options.data, name, options.limit):
            print(row, flush=True)


if __name__ == "__main__":
    main()
