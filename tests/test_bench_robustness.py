"""The robustness bench and its bookkeeping, with a stand-in for the engine."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bench_support import load_bench
from evaluation_support import make_data, quick_fuse

from drfuse_cli.colour import luma8
from drfuse_cli.config import Degradation
from drfuse_cli.evaluation.cases import clean_pairs
from drfuse_cli.imageio import read_image
from drfuse_cli.metrics import psnr


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load_bench("robustness/run.py")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data", "a", "b", "c")


def test_the_engine_is_given_the_flags_and_the_file_what_is_true(
    bench: ModuleType, data: Path
) -> None:
    pair = bench.spread_out(clean_pairs(data, "ivif"), 1, 32)[0]
    true, told = Degradation(14.0), Degradation(3.0)
    seen: list[Any] = []

    def fuse(first: Any, second: Any, degradations: Any) -> Any:
        seen.append(degradations)
        return quick_fuse(first, second, degradations)

    found = bench.measure(bench.Cell("noise", true, told), pair, 2026, fuse)
    assert seen == [(told, told)]
    assert found["degraded1"] == pytest.approx(20 * np.log10(255 / 14), abs=1)
    # The stand-in returns what it is given.
    assert found["drfuse1"] == pytest.approx(found["degraded1"])
    right = bench.measure(bench.Cell("noise", true, true), pair, 2026, quick_fuse)
    assert right["degraded1"] == found["degraded1"]
    assert right["lift1"] != found["lift1"]
    assert set(bench.METRICS) < set(found)


def test_a_capped_blur_is_what_the_command_makes_of_the_flags(
    bench: ModuleType, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = bench.spread_out(clean_pairs(data, "ivif"), 1, 32)[0]
    sharp = Degradation()
    seen: list[Any] = []

    def fuse(first: Any, second: Any, degradations: Any) -> Any:
        seen.append([one.blur_sigma for one in degradations])
        return quick_fuse(first, second, degradations)

    for bound in (0.5, None):
        monkeypatch.setattr(
            "drfuse_cli.operators.estimate.estimate",
            lambda image, bound=bound: SimpleNamespace(most_blur=bound),
        )
        bench.measure(bench.Cell("sigma", sharp, Degradation(0, 2), True), pair, 2026, fuse)
    assert seen == [[0.5, 0.5], [2, 2]]


def test_pairs_are_taken_evenly_and_cut_to_their_middle(bench: ModuleType, data: Path) -> None:
    pairs = clean_pairs(data, "ivif")
    assert [pair.name for pair in bench.spread_out(pairs, 2, 8)] == ["a", "b"]
    assert len(bench.spread_out(pairs, 9, 8)) == 3
    first, _ = bench.spread_out(pairs, 1, 8)[0].read()
    whole = read_image(data / "ir" / "a.png")
    assert np.array_equal(first.pixels, whole.pixels[13:21, 17:25])
    larger, _ = bench.spread_out(pairs, 1, 1000)[0].read()
    assert np.array_equal(larger.pixels, whole.pixels)


def test_equal_pictures_count_as_the_most(bench: ModuleType, data: Path) -> None:
    pair = clean_pairs(data, "ivif")[0]
    clean = Degradation()
    found = bench.measure(bench.Cell("noise", clean, clean), pair, 2026, quick_fuse)
    whole = luma8(pair.read()[0])
    assert psnr(whole, whole) == float("inf")
    assert found["degraded1"] == found["drfuse1"] == bench.MOST


def row(noise: float, blur: float, drfuse: float, told: dict[str, float] | None = None) -> Any:
    true = {"noise": noise, "blur": blur, "scale": 1, "motion": 0}
    stages = {"degraded": 20.0, "lift": 30.0, "drfuse": drfuse}
    mean = {f"{stage}{i}": value for stage, value in stages.items() for i in (1, 2)}
    label = {"part": "grid", "capped": False, "true": true, "told": true | (told or {})}
    return label | {"mean": mean}


def test_the_verdict_counts_only_what_was_told_rightly(bench: ModuleType) -> None:
    rows = [row(0, 1, 36), row(8, 1, 29), row(8, 2, 10, {"noise": 0})]
    said = bench.verdict(rows)
    assert "3 settings, 2 told rightly" in said
    assert "restored against degraded: mean +12.50 dB, behind in 0 of 4" in said
    assert "restored against lift: mean +2.50 dB, behind in 2 of 4, worst -1.00 dB" in said


def test_the_steepest_fall_is_between_neighbours(bench: ModuleType) -> None:
    rows = [row(0, 1, 40), row(8, 1, 37), row(8, 2, 31), row(25, 2, 29)]
    assert bench.steepest(rows) == (
        "steepest fall: 6.00 dB (source 2, blur 1 to 2 from noise 8, blur 1, scale 1)"
    )


def test_no_setting_twice_and_every_part_is_drawn(bench: ModuleType, tmp_path: Path) -> None:
    options = bench.parse_arguments(["--data", ".", "--workers", "1"])
    fake = {f"{stage}{i}": 30.0 for i in (1, 2) for stage in bench.STAGES}
    found = bench.run(options, lambda cell: cell.label | {"mean": fake})
    keys = [json.dumps([row[key] for key in ("part", "capped", "true", "told")]) for row in found]
    assert len(set(keys)) == len(keys)
    plot = load_bench("robustness/plot.py")
    assert {row["part"] for row in found} == set(plot.FIGURES)
    for part, draw in plot.FIGURES.items():
        figure = draw([row for row in found if row["part"] == part], ["ir", "vis"])
        lines = [line for axes in figure.axes for line in axes.lines]
        assert lines
        assert all(len(line.get_xdata()) > 1 for line in lines)
