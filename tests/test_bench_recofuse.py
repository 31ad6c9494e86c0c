"""The cases of the ReCoFuse bench."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from bench_support import load_bench

from drfuse_cli.imageio import Image, write_image


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load_bench("recofuse/run.py")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    scene = 60 + np.arange(64 * 64, dtype=np.float64).reshape(64, 64) / 40
    for name, share in (("day", 1.0), ("night", 0.2)):
        for role in ("ir", "vis"):
            pixels = np.rint(scene * (share if role == "vis" else 1)).astype(np.uint8)
            (tmp_path / role).mkdir(exist_ok=True)
            write_image(tmp_path / role / f"{name}.png", Image(pixels))
    return tmp_path


def test_a_night_is_held_against_what_it_would_look_like_lit(bench: ModuleType, data: Path) -> None:
    day, night = bench.cases(data, [2026], None, light_nights=True)
    assert night.clean[1].pixels.mean() > 60
    same, dark = bench.cases(data, [2026], None, light_nights=False)
    assert dark.clean[1].pixels.mean() < 25
    for one, other in zip((*day.seen, *day.clean), (*same.seen, *same.clean), strict=True):
        assert np.array_equal(one.pixels, other.pixels)


def test_a_night_gets_no_darker(bench: ModuleType, data: Path) -> None:
    seeds = range(20)
    found = list(bench.cases(data, seeds, None, light_nights=True))
    means = {
        name: [case.seen[1].pixels.mean() for case in found if case.name.startswith(name)]
        for name in ("day", "night")
    }
    clean = {"day": 111, "night": 22}
    assert min(means["day"]) < 0.7 * clean["day"]
    assert min(means["night"]) > 0.85 * clean["night"]


def test_cameras_come_after_the_scene(bench: ModuleType, data: Path) -> None:
    """Same draws of the generator; what the cameras do with them is the preset's."""
    plain, _ = bench.cases(data, [2026], None, light_nights=True)
    case, _ = bench.cases(data, [2026], None, light_nights=True, optics="composite")
    assert [image.pixels.shape[:2] for image in case.seen] == [(16, 16), (64, 64)]
    assert case.seen[0].pixels.mean() == pytest.approx(plain.seen[0].pixels.mean(), abs=2)
    assert [image.pixels.shape[:2] for image in bench.enlarged(case)] == [(64, 64)] * 2
    assert np.array_equal(case.clean[0].pixels, plain.clean[0].pixels)


def test_peers_are_counted_by_column(tmp_path: Path) -> None:
    peers = load_bench("recofuse/peers.py")
    header = ",".join(("method", "restoration", "preset", *peers.COLUMNS))
    rows = ("a,restored,noise,1,1,1,1,1,1", "b,restored,noise,3,3,3,0,0,0",
            "a,none,noise,9,9,9,9,9,9", "a,restored,blur,9,9,9,9,9,9")  # fmt: skip
    scores = tmp_path / "scores_ivif.csv"
    scores.write_text("\n".join((header, *rows)))
    found = peers.peers(scores, "noise")
    assert list(found) == ["a", "b"]
    own = dict.fromkeys(peers.COLUMNS, 2.0)
    ends = [line.split("|")[-2].strip() for line in peers.table(own, found)[2:]]
    assert ends == ["", "6 of 6", "3 of 6", "3 of 6"]
