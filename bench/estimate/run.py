"""True against estimated degradation, over a folder of clean pairs.

    python bench/estimate/run.py --data DIR --task ivif [--limit N] [--only clean,noise14]

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from drfuse_cli.config import TASKS, Degradation, Task, preset
from drfuse_cli.degradations import believed
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.cases import CleanPair, Degradations, clean_pairs, make_case
from drfuse_cli.imageio import Image
from drfuse_cli.operators.estimate import estimate
from drfuse_cli.operators.simulate import generator

SEED = 2026
FALSE_NOISE = 1.5


@dataclass(frozen=True)
class Row:
    """One file: what was done to it, and what `--degrade auto` takes it for.

    ``mark`` is one of the findings that are told and left in, ``true_mark`` what it should be.
    """

    setting: str
    role: str
    name: str
    true_noise: float
    noise: float
    true_blur: float
    blur: float
    seconds: float
    seen: dict[str, float]
    mark: str = ""
    true_mark: float = 0


# ---- what is done to clean files --------------------------------------------------------------


def settings(task: Task) -> dict[str, Degradations]:
    """Every degradation that the operators can undo, by name."""

    def same(**degradation: float) -> Degradations:
        one = Degradation(**degradation)  # type: ignore[arg-type]
        return one, one

    return {
        "clean": same(),
        **{f"noise{std}": same(noise_std=std) for std in (2, 5, 8, 14, 25)},
        **{f"blur{sigma:g}": same(blur_sigma=sigma) for sigma in (0.7, 1, 1.5, 2, 3)},
        "blur2+noise2": same(blur_sigma=2, noise_std=2),
        "blur2+noise8": same(blur_sigma=2, noise_std=8),
        "padded2": same(blur_sigma=2, zero_border=True),
        "composite": preset(task, "composite"),
    }


Spoil = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def grain(pixels: np.ndarray, rng: np.random.Generator, sigma: float, std: float) -> np.ndarray:
    """Noise that was smoothed: the same neighbours share it."""
    noise = cv2.GaussianBlur(rng.standard_normal(pixels.shape), (0, 0), sigma)
    return pixels + std * noise / noise.std()


def striped(pixels: np.ndarray, rng: np.random.Generator, std: float) -> np.ndarray:
    offsets = std * rng.standard_normal(pixels.shape[1])
    return pixels + offsets.reshape(1, -1, *[1] * (pixels.ndim - 2))


def compressed(pixels: np.ndarray, rng: np.random.Generator, quality: int) -> np.ndarray:
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)


def enlarged(pixels: np.ndarray, rng: np.random.Generator, factor: int) -> np.ndarray:
    height, width = (n // factor for n in pixels.shape[:2])
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    size = (width * factor, height * factor)
    return cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)


# Name: what is done, the finding it should lead to, and its value.
OTHERS: dict[str, tuple[Spoil, str, float]] = {
    **{
        f"grain{sigma:g}": (lambda x, rng, sigma=sigma: grain(x, rng, sigma, 8), "noise", 8)
        for sigma in (0.6, 1.0)
    },
    "stripes4": (lambda x, rng: striped(x, rng, 4), "stripes", 4),
    **{
        f"jpeg{quality}": (lambda x, rng, q=quality: compressed(x, rng, q), "jpeg", quality)
        for quality in (50, 80)
    },
    **{
        f"enlarged{factor}": (lambda x, rng, s=factor: enlarged(x, rng, s), "enlarged", factor)
        for factor in (2, 3)
    },
}


# ---- what is found of it ----------------------------------------------------------------------


def rows(pairs: list[CleanPair], task: Task, names: list[str]) -> Iterator[Row]:
    for name in names:
        for pair in pairs:
            yield from others(pair, name) if name in OTHERS else degraded(pair, task, name)


def degraded(pair: CleanPair, task: Task, name: str) -> Iterator[Row]:
    degradations = settings(task)[name]
    case = make_case(pair, degradations, SEED)
    for role, image, truth in zip(pair.roles, case.degraded, degradations, strict=True):
        yield look(name, role, pair.name, image, truth)


def others(pair: CleanPair, name: str) -> Iterator[Row]:
    spoil, mark, true_mark = OTHERS[name]
    for role, image in zip(pair.roles, pair.read(), strict=True):
        spoilt = spoil(image.pixels, generator(SEED, pair.name, role))
        pixels = np.floor(spoilt.clip(0, 255) + 0.5).astype(np.uint8)
        truth = Degradation(noise_std=true_mark if mark == "noise" else 0.0)
        yield look(name, role, pair.name, Image(pixels), truth, mark, true_mark)


def look(
    setting: str, role: str, name: str, image: Image, truth: Degradation, *mark: str | float
) -> Row:
    started = time.process_time()
    taken = believed(estimate(image), truth.sr_scale)
    seconds = time.process_time() - started
    return Row(
        setting, role, name, truth.noise_std, taken.noise_std, truth.blur_sigma,
        taken.blur_sigma, seconds, taken.seen, *mark,  # type: ignore[arg-type]
    )  # fmt: skip


# ---- telling ----------------------------------------------------------------------------------


def groups(found: list[Row]) -> Iterator[list[Row]]:
    """The rows of each setting and source."""

    def key(row: Row) -> tuple[int, str]:
        return order.index(row.setting), row.role

    order = list(dict.fromkeys(row.setting for row in found))
    for _, group in groupby(sorted(found, key=key), key):
        yield list(group)


def table(found: list[Row]) -> Iterator[str]:
    """Markdown: noise and blur, one line a setting and source."""
    yield "| setting | source | noise | estimated | error, largest | blur | estimated | seen in |"
    yield "|---|---|---|---|---|---|---|---|"
    for group in groups([row for row in found if row.mark in ("", "noise")]):
        noise = np.array([row.noise for row in group])
        true_noise, true_blur = group[0].true_noise, group[0].true_blur
        seen = [row.blur for row in group if row.blur > 0]
        cells = (
            group[0].setting,
            group[0].role,
            f"{true_noise:.3g}",
            f"{np.median(noise):.1f}",
            f"{np.abs(noise - true_noise).max():.1f}",
            f"{true_blur:g}",
            f"{np.median(seen):.1f} ({min(seen):.1f}..{max(seen):.1f})" if seen else "none",
            f"{len(seen)} of {len(group)}",
        )
        yield f"| {' | '.join(cells)} |"


def marks(found: list[Row]) -> Iterator[str]:
    """Markdown: what is told and left in."""
    yield "| setting | source | true | estimated | seen in |"
    yield "|---|---|---|---|---|"
    for group in groups([row for row in found if row.mark not in ("", "noise")]):
        mark = group[0].mark
        seen = [row.seen[mark] for row in group if mark in row.seen]
        estimated = f"{np.median(seen):.3g} ({min(seen):.3g}..{max(seen):.3g})" if seen else ""
        yield (
            f"| {group[0].setting} | {group[0].role} | {group[0].true_mark:g} | {estimated} | "
            f"{len(seen)} of {len(group)} |"
        )


def alarms(found: list[Row]) -> Iterator[str]:
    """What was declared of files that nothing was done to."""
    for group in groups([row for row in found if row.setting == "clean"]):
        counts = {
            f"noise above {FALSE_NOISE:g}": sum(row.noise > FALSE_NOISE for row in group),
            "blur": sum(row.blur > 0 for row in group),
            **{
                name: sum(name in row.seen for row in group)
                for name in ("enlarged", "stripes", "jpeg")
            },
        }
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield f"of {len(group)} clean {group[0].role} files: {told}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="clean pairs, a folder a source")
    parser.add_argument("--task", default="ivif", choices=TASKS)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N pairs")
    parser.add_argument("--only", default="", help="these settings, separated by commas")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every number")
    options = parser.parse_args()
    known = [*settings(options.task), *OTHERS]
    names = [name for name in options.only.split(",") if name] or known
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise DrfuseError(
            f"unknown settings: {', '.join(unknown)}", hint=f"Choose from {', '.join(known)}."
        )
    pairs = clean_pairs(options.data, options.task)[: options.limit]
    found = list(rows(pairs, options.task, names))
    print("\n".join([*table(found), "", *marks(found), "", *alarms(found)]))
    print(f"{1000 * np.mean([row.seconds for row in found]):.0f} ms of processor time a file")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except DrfuseError as error:
        sys.exit(f"error: {error}")
