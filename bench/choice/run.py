"""How often ``--method auto`` chooses the method that a pair was made for.

    python bench/choice/run.py --data DIR [--limit N] [--only clean,haze] [--json FILE]

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from drfuse_cli.choice import choose
from drfuse_cli.config import Method, PresetName, preset
from drfuse_cli.degradations import Overrides
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.cases import (
    Both,
    CleanPair,
    clean_pairs,
    crop,
    cropped,
    degrade_pair,
    factor_of,
    size_of,
)
from drfuse_cli.impairments import impair_image
from drfuse_cli.kinds import draw_kinds, parse_kinds
from drfuse_cli.operators.estimate import estimate
from drfuse_cli.operators.simulate import generator
from drfuse_cli.sources import Assumptions, take_pair

AUTO = Assumptions("ivif", "auto", Overrides(), destripe="auto")
SEED = 2026
PRESETS: tuple[PresetName, ...] = ("noise", "blur", "composite")
KINDS = (
    *("noise", "lowlight", "haze", "vis:contrast", "ir:contrast", "stripes"),
    *("lowlight,vis:noise", "haze,vis:noise", "ir:contrast,ir:noise", "stripes,ir:noise"),
    *("ir:contrast,stripes,ir:noise", "haze,ir:contrast,stripes,noise", "random"),
)
SETTINGS: dict[str, tuple[str, PresetName]] = {
    "clean": ("", "none"),
    **{f"preset {name}": ("", name) for name in PRESETS},
    **{kinds: (kinds, "none") for kinds in KINDS},
    **{
        f"{kinds}, preset {name}": (kinds, name)
        for kinds in ("haze", "vis:contrast", "ir:contrast")
        for name in PRESETS[1:]
    },
}
"""What the scene shows, and what the cameras then make of it."""


@dataclass(frozen=True)
class Row:
    """One pair in one setting: what should be chosen, what was, and why."""

    setting: str
    name: str
    expected: Method
    method: Method
    reasons: tuple[str, ...]
    seconds: float


def rows(pairs: list[CleanPair], settings: list[str]) -> Iterator[Row]:
    for setting in settings:
        for pair in pairs:
            seen, expected = spoilt(pair, setting)
            images, _ = take_pair(seen, AUTO)
            estimates = estimate(images[0]), estimate(images[1])
            start = time.process_time()
            choice = choose(images, estimates)
            seconds = time.process_time() - start
            yield Row(setting, pair.name, expected, choice.method, choice.reasons, seconds)


def spoilt(pair: CleanPair, setting: str) -> tuple[Both, Method]:
    """A pair as ``drfuse degrade`` makes it, and the method that undoes more of it."""
    kinds, name = SETTINGS[setting]
    scene, expected = impaired(pair, kinds) if kinds else (pair.read(), "drfusion")
    cameras = preset("ivif", name)
    seen = crop(scene, cropped(size_of(scene[0]), factor_of(cameras)))
    return degrade_pair(seen, cameras, SEED, pair.name, pair.roles), expected


def impaired(pair: CleanPair, setting: str) -> tuple[Both, Method]:
    kinds = parse_kinds(setting)
    drawn = [draw_kinds(i, kinds[i], SEED, pair.name, pair.roles[i]) for i in (0, 1)]
    first, second = (
        impair_image(image, drawn[i], generator(SEED, pair.name, pair.roles[i]))
        for i, image in enumerate(pair.read())
    )
    tonal = any(one.kind not in ("noise", "stripes") for source in drawn for one in source)
    return (first, second), "recofuse" if tonal else "drfusion"


def table(found: list[Row]) -> list[str]:
    lines = ["| setting | expected | chosen as expected |", "|---|---|---|"]
    for setting, group in groupby(found, lambda row: row.setting):
        inside = list(group)
        for expected in ("drfusion", "recofuse"):
            own = [row for row in inside if row.expected == expected]
            if own:
                right = sum(row.method == expected for row in own)
                lines.append(f"| {setting} | {expected} | {right} of {len(own)} |")
    return lines


def wrong(found: list[Row]) -> list[str]:
    """The pairs that went to ReCoFuse without need, and why."""
    return [
        f"{row.setting}: {row.name}: {', '.join(row.reasons)}"
        for row in found
        if row.method == "recofuse" != row.expected
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of clean pairs")
    parser.add_argument("--limit", type=int, help="only the first N pairs")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth pair")
    parser.add_argument("--only", help="settings, separated by semicolons")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every choice")
    options = parser.parse_args()
    settings = options.only.split(";") if options.only else list(SETTINGS)
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown:
        raise DrfuseError(
            f"unknown settings: {'; '.join(unknown)}", hint=f"Choose from {'; '.join(SETTINGS)}."
        )
    pairs = clean_pairs(options.data, "ivif")[:: options.every][: options.limit]
    found = list(rows(pairs, settings))
    print("\n".join([*table(found), "", *wrong(found), ""]))
    milliseconds = 1000 * sum(row.seconds for row in found) / len(found)
    print(f"{milliseconds:.0f} ms of processor time a pair, beside the estimates")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except DrfuseError as error:
        sys.exit(f"error: {error}")
