"""ReCoFuse on held-back pairs with low light, haze, stripes, low contrast and noise.

    python bench/recofuse/run.py --data DIR --out runs/recofuse [--weights NAME=FILE ...]

Degrades every pair by the generator (seeded by its name; a visible image that is dark as it comes
gets no darker, and its clean one is what it would look like lit), fuses it with ReCoFuse, with
DRFusion (degradations estimated) and with classical fusion of the degraded and of the clean
sources, and scores the fused images with ``drfuse eval --metrics recofuse`` against the clean
sources. For the networks also the PSNR of the restored sources, in dB over all channels and all
sources that differ from their clean ones; ``restored-first`` is ReCoFuse with
``--restore-first``; in rows without a network that of the degraded ones.
``--steps 1,2,4`` adds a curve over the number of sampling steps, relative times included;
``--without-refiner`` adds the weights without theirs; ``--draws 4`` degrades every pair four times,
with the seeds from ``--seed`` on. ``--nights dark`` takes dark images for clean ones as they come.
``--optics composite`` has cameras blur, pool and add noise to what the generator made, as that
preset says; pictures are cropped to what its scales divide.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drfuse_cli.colour import luma8
from drfuse_cli.config import PRESET_NAMES, Degradation, FuseOptions, PresetName, preset
from drfuse_cli.degradations import Mode, Overrides, assume
from drfuse_cli.engine import Engine
from drfuse_cli.evaluation.baselines import FUSERS, enlarge, fuse
from drfuse_cli.evaluation.cases import crop, cropped, degrade_pair, factor_of, size_of
from drfuse_cli.imageio import Image, read_image, write_image
from drfuse_cli.impairments import INFRARED, VISIBLE, Kind, draw_all, impair
from drfuse_cli.operators.simulate import generator
from drfuse_cli.pairs import find_pairs
from drfuse_cli.sources import Assumptions, take_pair
from drfuse_cli.training.lighting import exponent, lit
from drfuse_cli.weights import LoadedWeights, load_weights

AUTO = Assumptions("ivif", "auto", Overrides(), destripe="auto")
COLUMNS = ("SD", "MI", "EN", "CC", "SCD", "VIF")
CLASSICAL = ("average", "maximum", "laplacian", "wavelet", "guided")


@dataclass(frozen=True)
class Case:
    """A pair, infrared first: clean, and as the generator left it."""

    name: str
    clean: tuple[Image, Image]
    seen: tuple[Image, Image]


@dataclass(frozen=True)
class Made:
    """A fused image, the restored sources of a network, and how long it took."""

    fused: Image
    restored: tuple[Image, Image] | None
    seconds: float


Method = Callable[[Case], Made]


def cases(
    root: Path,
    seeds: Sequence[int],
    limit: int | None,
    *,
    light_nights: bool,
    optics: PresetName = "none",
) -> Iterator[Case]:
    """Every pair as often as there are seeds."""
    cameras = preset("ivif", optics)
    for pair in find_pairs(root, "ivif")[:limit]:
        both = read_image(pair.source1), read_image(pair.source2)
        infrared, visible = crop(both, cropped(size_of(both[0]), factor_of(cameras)))
        light = Image(lit(_eight_bits(visible))) if light_nights else visible
        dark = light_nights and exponent(luma8(visible) / 255) < 1
        for seed in seeds:
            seen = (
                _degraded(infrared, INFRARED, generator(seed, pair.name, "ir")),
                _degraded(visible, VISIBLE, generator(seed, pair.name, "vis"), dark=dark),
            )
            roles = "ir optics", "vis optics"
            seen = degrade_pair(seen, cameras, seed, pair.name, roles)
            yield Case(f"{pair.name}-{seed}", (infrared, light), seen)


def _eight_bits(image: Image) -> np.ndarray:
    return np.rint(image.pixels * (255 / image.max_value)).astype(np.uint8)


def _degraded(
    image: Image, odds: dict[Kind, float], rng: np.random.Generator, *, dark: bool = False
) -> Image:
    pixels = image.pixels.astype(np.float64) / image.max_value
    drawn = tuple(one for one in draw_all(odds, rng) if not (dark and one.kind == "lowlight"))
    return Image(np.rint(255 * impair(pixels, drawn, rng)).astype(np.uint8))


def unrefined(weights: LoadedWeights) -> LoadedWeights:
    tensors = {n: t for n, t in weights.tensors.items() if not n.startswith("refiner.")}
    architecture = {**weights.architecture, "refiner": 0}
    return replace(weights, architecture=architecture, tensors=tensors)


def network(
    spec: str | None,
    method: str,
    steps: int | None = None,
    *,
    refined: bool = True,
    restore_first: bool = False,
) -> Method:
    """A method of drfuse; ``spec`` as for ``--weights``."""
    weights = load_weights(spec, "ivif", method)
    if not refined:
        weights = unrefined(weights)
    usual = int(weights.architecture.get("steps", 3))
    options = FuseOptions(
        method=weights.method,  # type: ignore[arg-type]
        steps=steps or usual,
        restore_first=restore_first,
    )
    engine = Engine(weights, options)
    mode: Mode = "auto" if method == "drfusion" or restore_first else "none"

    def run(case: Case) -> Made:
        started = time.process_time()
        images, _ = take_pair(case.seen, AUTO)
        assumed = assume("ivif", mode, Overrides(), images)
        result = engine.fuse(*images, assumed)
        return Made(result.fused, result.sources, time.process_time() - started)

    return run


def classical(name: str, *, clean: bool = False) -> Method:
    def run(case: Case) -> Made:
        sources = case.clean if clean else enlarged(case)
        return Made(fuse(sources, FUSERS[name]), None, 0.0)

    return run


def enlarged(case: Case) -> tuple[Image, Image]:
    """Both sources as they came, on the grid of the clean ones."""
    shape = size_of(case.clean[0])
    first, second = (enlarge(image, Degradation(), shape) for image in case.seen)
    return first, second


def psnr(image: Image, clean: Image, seen: Image) -> float:
    """Not a number for a source that is clean as it comes."""
    if np.array_equal(seen.pixels, clean.pixels):
        return float("nan")
    one, other = (np.atleast_3d(i.pixels).astype(np.float64) / i.max_value for i in (image, clean))
    return float(-10 * np.log10(np.square(one - other).mean() + 1e-10))


def run(name: str, method: Method, found: list[Case], out: Path) -> dict[str, float]:
    """Fuses every case into ``out/name``; the mean PSNR of restored sources and CPU seconds."""
    rows = []
    for case in found:
        made = method(case)
        write_image(out / name / f"{case.name}.png", made.fused)
        sources = made.restored or enlarged(case)
        both = [psnr(*three) for three in zip(sources, case.clean, case.seen, strict=True)]
        rows.append([*both, made.seconds])
    infrared, visible, seconds = np.nanmean(rows, axis=0).tolist()
    return {"infrared": infrared, "visible": visible, "seconds": seconds}


def scores(data: Path, folders: list[Path]) -> dict[str, dict[str, float]]:
    """Means by method, from ``drfuse eval``; ``data`` holds the clean pairs."""
    command = [sys.executable, "-m", "drfuse_cli", "eval", str(data), "--metrics", "recofuse"]
    command += [word for folder in folders for word in ("--fused", f"{folder.name}={folder}")]
    done = subprocess.run([*command, "--json"], check=True, stdout=subprocess.PIPE)
    methods = json.loads(done.stdout)["methods"]
    return {method["name"]: method["mean"] for method in methods}


def table(rows: dict[str, dict[str, float]]) -> str:
    """Markdown; the time in units of the first row's."""
    lines = [f"| method | {' | '.join(COLUMNS)} | infrared dB | visible dB | CPU time |"]
    lines.append("|---|" + "---|" * (len(COLUMNS) + 3))
    unit = next(iter(rows.values()))["seconds"] or 1.0
    for name, row in rows.items():
        cells = [f"{row[column]:.3f}" for column in COLUMNS]
        restored = [f"{row[key]:.2f}" for key in ("infrared", "visible")]
        relative = f"{row['seconds'] / unit:.2f}" if row["seconds"] else ""
        lines.append(f"| {' | '.join([name, *cells, *restored, relative])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--steps", default="", help="more runs with so many steps, as 1,2,4")
    parser.add_argument("--without-refiner", action="store_true", help="a row without it")
    parser.add_argument("--only-weights", action="store_true", help="leave other methods out")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--draws", type=int, default=1, help="degradations of each pair")
    parser.add_argument("--nights", choices=("lit", "dark"), default="lit", help="as references")
    parser.add_argument("--optics", choices=PRESET_NAMES, default="none", help="of the cameras")
    options = parser.parse_args()
    named = dict(word.split("=", 1) for word in options.weights)
    main_weights = named.pop("recofuse", None)
    methods: dict[str, Method] = {"recofuse": network(main_weights, "recofuse")}
    methods["restored-first"] = network(main_weights, "recofuse", restore_first=True)
    methods |= {name: network(file, "recofuse") for name, file in named.items()}
    for steps in filter(None, options.steps.split(",")):
        methods[f"{steps}-steps"] = network(main_weights, "recofuse", int(steps))
    if options.without_refiner:
        methods["without-refiner"] = network(main_weights, "recofuse", refined=False)
    if not options.only_weights:
        methods["drfusion-auto"] = network(None, "drfusion")
        methods |= {f"{name}-degraded": classical(name) for name in CLASSICAL}
        methods |= {f"{name}-clean": classical(name, clean=True) for name in CLASSICAL}
    seeds = range(options.seed, options.seed + options.draws)
    light = options.nights == "lit"
    found = list(
        cases(options.data, seeds, options.limit, light_nights=light, optics=options.optics)
    )
    for case in found:
        for number, image in enumerate(case.seen, 1):
            write_image(options.out / f"degraded{number}" / f"{case.name}.png", image)
        for role, image in zip(("ir", "vis"), case.clean, strict=True):
            write_image(options.out / "clean" / role / f"{case.name}.png", image)
    rows = {name: run(name, method, found, options.out) for name, method in methods.items()}
    means = scores(options.out / "clean", [options.out / name for name in methods])
    rows = {name: {**row, **means[name]} for name, row in rows.items()}
    (options.out / "scores.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
