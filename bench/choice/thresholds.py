"""What the thresholds of ``drfuse_cli/choice.py`` cost and gain, on training pairs.

    python bench/choice/thresholds.py --data DIR [--every N]

Every threshold is moved on its own, the others left as they are; README.md says what to read in it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drfuse_cli import choice
from drfuse_cli.choice import Tones, tones
from drfuse_cli.config import preset
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.cases import CleanPair, clean_pairs
from drfuse_cli.imageio import Image
from drfuse_cli.impairments import impair_image
from drfuse_cli.kinds import draw_kinds, parse_kinds
from drfuse_cli.operators.simulate import degrade_image, generator

SEED = 11
KINDS = (
    ("ir:contrast", "ir:contrast,ir:noise"),
    ("vis:haze", "vis:haze,vis:noise", "vis:contrast", "vis:lowlight", "vis:lowlight,vis:noise"),
)
PRESETS = ("none", "noise", "blur")


@dataclass(frozen=True)
class Sign:
    """A finding of one source, by its threshold: the values to try, and whether it shows."""

    source: int
    name: str
    values: tuple[float, ...]
    shows: Callable[[Tones, float], bool]


def _flat(seen: Tones, black: float, span: float) -> bool:
    return seen.black >= black and seen.span <= span


def _veiled(seen: Tones, black: float, white: float, contrast: float) -> bool:
    return seen.black >= black and seen.white <= white and seen.contrast <= contrast


SIGNS = (
    Sign(0, "FLAT_BLACK", (10, 18, 30, 40), lambda t, v: _flat(t, v, choice.FLAT_SPAN)),
    Sign(0, "FLAT_SPAN", (140, 150, 160, 170), lambda t, v: _flat(t, choice.FLAT_BLACK, v)),
    Sign(1, "VEILED_BLACK", (15, 30, 45),
         lambda t, v: _veiled(t, v, choice.VEILED_WHITE, choice.VEILED_CONTRAST)),
    Sign(1, "VEILED_WHITE", (235, 240, 243, 246, 249),
         lambda t, v: _veiled(t, choice.VEILED_BLACK, v, choice.VEILED_CONTRAST)),
    Sign(1, "VEILED_CONTRAST", (0.22, 0.25, 0.28, 0.31, 0.34),
         lambda t, v: _veiled(t, choice.VEILED_BLACK, choice.VEILED_WHITE, v)),
    Sign(1, "DARK_MEDIAN", (5, 7, 9, 12, 20, 40), lambda t, v: t.median <= v),
)  # fmt: skip


def seen(pair: CleanPair, source: int) -> Iterator[tuple[str, Tones]]:
    """The tones of one source, as it is and after everything that is done to it."""
    image, role = pair.read()[source], pair.roles[source]
    for name in PRESETS:
        degradation = preset("ivif", name)[source]  # type: ignore[arg-type]
        rng = generator(SEED, pair.name, role)
        yield name, tones(degrade_image(image, degradation, rng))
    for kinds in KINDS[source]:
        yield kinds, tones(impaired(image, source, kinds, pair.name, role))


def impaired(image: Image, source: int, kinds: str, name: str, role: str) -> Image:
    drawn = draw_kinds(source, parse_kinds(kinds)[source], SEED, name, role)
    return impair_image(image, drawn, generator(SEED, name, role))


def table(pairs: list[CleanPair], source: int) -> list[str]:
    columns: dict[str, list[Tones]] = {}
    for pair in pairs:
        for name, one in seen(pair, source):
            columns.setdefault(name, []).append(one)
    lines = [
        f"| threshold | value | {' | '.join(columns)} |",
        f"|---|---|{'---|' * len(columns)}",
    ]
    for sign in (sign for sign in SIGNS if sign.source == source):
        for value in sign.values:
            shares = (
                np.mean([sign.shows(one, value) for one in all_]) for all_ in columns.values()
            )
            mark = " *" if value == getattr(choice, sign.name) else ""
            cells = " | ".join(f"{100 * share:.0f} %" for share in shares)
            lines.append(f"| {sign.name} | {value:g}{mark} | {cells} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of clean pairs")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth pair")
    options = parser.parse_args()
    pairs = clean_pairs(options.data, "ivif")[:: options.every]
    print(f"{len(pairs)} pairs, seed {SEED}; * is what drfuse uses\n")
    print("\n".join([*table(pairs, 0), "", *table(pairs, 1)]))


if __name__ == "__main__":
    try:
        main()
    except DrfuseError as error:
        sys.exit(f"error: {error}")
