"""The quality benchmark's bookkeeping, with a stand-in for the engine."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from drfuse_cli.config import Degradation
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, read_image, write_image
from drfuse_cli.metrics import DRFUSION_TABLE, psnr, score

SCRIPT = Path(__file__).resolve().parents[1] / "bench" / "quality" / "run.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quality_run", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["quality_run"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two clean pairs of 33 x 42, which no scale divides."""
    rng = np.random.default_rng(0)
    for role in ("ir", "vis"):
        (tmp_path / "data" / role).mkdir(parents=True)
        for name in ("a", "b"):
            coarse = rng.integers(20, 236, (11, 14), dtype=np.uint8)
            write_image(
                tmp_path / "data" / role / f"{name}.png",
                Image(np.kron(coarse, np.ones((3, 3), np.uint8))),
            )
    return tmp_path / "data"


def resized(image: Image, shape: tuple[int, int]) -> Image:
    factor = shape[0] // image.height
    return Image(image.pixels.repeat(factor, 0).repeat(factor, 1))


def lift(image: Image, degradation: Degradation, shape: tuple[int, int]) -> Image:
    assert image.height * degradation.sr_scale == shape[0]
    return resized(image, shape)


def fuse(first: Image, second: Image, degradations: Any) -> Any:
    shape = (max(first.height, second.height), max(first.width, second.width))
    sources = tuple(resized(image, shape) for image in (first, second))
    mean = (sources[0].pixels.astype(int) + sources[1].pixels + 1) // 2
    return SimpleNamespace(fused=Image(mean.astype(np.uint8)), sources=sources, seconds=0.5)


def options(bench: ModuleType, data: Path, *more: str) -> Any:
    return bench.parse_arguments(["--data", str(data), "--task", "ivif", *more])


def test_scores_every_pair_against_the_cropped_clean_sources(
    bench: ModuleType, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = bench.run(options(bench, data, "--presets", "noise,composite"), fuse, lift)
    assert list(results) == ["noise", "composite"]
    assert [row["name"] for row in results["composite"]] == ["a", "b"]
    for row in results["composite"]:
        assert row["lift1"] == row["restored1"] != row["degraded1"]
    # 20 log10(255 / 13.97)
    assert results["noise"][0]["degraded1"] == pytest.approx(25.23, abs=0.4)
    assert "ivif, composite (n = 2, 0.50 s a pair)" in capsys.readouterr().out


def test_the_columns_are_those_of_the_clean_sources(
    bench: ModuleType, data: Path, tmp_path: Path
) -> None:
    arguments = options(bench, data, "--presets", "composite", "--out", str(tmp_path))
    row = bench.run(arguments, fuse, lift)["composite"][1]
    first, second = (read_image(data / role / "b.png").pixels[:32, :40] for role in ("ir", "vis"))
    fused = read_image(tmp_path / "composite" / "fused" / "b.png").pixels
    for column, expected in score(first, second, fused, DRFUSION_TABLE).items():
        assert row[column] == expected.value
    restored = read_image(tmp_path / "composite" / "source2" / "b.png").pixels
    assert row["restored2"] == psnr(restored, second)


def test_the_noise_does_not_depend_on_which_pairs_run(bench: ModuleType, data: Path) -> None:
    everything = bench.run(options(bench, data, "--presets", "noise"), fuse, lift)["noise"]
    (data / "ir" / "a.png").unlink()
    (data / "vis" / "a.png").unlink()
    alone = bench.run(options(bench, data, "--presets", "noise"), fuse, lift)["noise"]
    assert alone == everything[1:]


def test_equal_images_have_no_psnr(bench: ModuleType, data: Path) -> None:
    rows = bench.run(options(bench, data, "--presets", "none"), fuse, lift)["none"]
    assert [row["restored1"] for row in rows] == [None, None]


def test_every_unseen_setting_runs(bench: ModuleType, data: Path) -> None:
    results = bench.run(options(bench, data, "--presets", "unseen", "--limit", "1"), fuse, lift)
    assert list(results) == list(bench.UNSEEN)
    assert all(len(rows) == 1 for rows in results.values())


def test_images_are_kept_where_asked(bench: ModuleType, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bench.run(options(bench, data, "--presets", "composite", "--out", str(out)), fuse, lift)
    for folder in ("fused", "source1", "source2"):
        assert read_image(out / "composite" / folder / "b.png").pixels.shape == (32, 40)


def write_peers(folder: Path, rows: list[tuple[str, str, str, str, float]]) -> None:
    with (folder / "scores_ivif_pairs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "method", "restoration", "preset", *DRFUSION_TABLE])
        writer.writerows([*row[:4], *[row[4]] * len(DRFUSION_TABLE)] for row in rows)
    with (folder / "restoration_psnr_pairs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "preset", "source", "name", "restored_luma_psnr"])
        for source, value in (("ir", 40.125), ("vis", 31.5)):
            writer.writerows(["ivif", "noise", source, name, value] for name in "ab")


def test_the_best_peer_is_that_of_the_same_pairs_and_restored(
    bench: ModuleType, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_peers(
        tmp_path,
        [
            ("a", "good", "restored", "noise", 0.3),
            ("b", "good", "restored", "noise", 0.5),
            ("a", "poor", "restored", "noise", 0.2),
            ("b", "poor", "restored", "noise", 0.3),
            ("a", "partial", "restored", "noise", 0.9),
            ("a", "cheat", "clean", "noise", 0.95),
            ("b", "cheat", "clean", "noise", 0.95),
        ],
    )
    both = [{"name": "a"}, {"name": "b"}]
    assert bench.best_peers(tmp_path, "ivif", "noise", both)["Q_G"] == (pytest.approx(0.4), "good")
    assert bench.best_peers(tmp_path, "ivif", "noise", both[:1])["Q_G"] == (0.9, "partial")
    assert bench.best_peers(tmp_path, "ivif", "blur", both) == {}
    bench.run(options(bench, data, "--presets", "noise", "--peers", str(tmp_path)), fuse, lift)
    printed = capsys.readouterr().out
    assert "good" in printed
    assert "40.12" in printed
    bench.run(
        options(bench, data, "--presets", "noise", "--peers", str(tmp_path), "--seed", "1"),
        fuse,
        lift,
    )
    captured = capsys.readouterr()
    assert "good" not in captured.out
    assert "seed 2026" in captured.err


def test_an_unknown_preset_names_the_known_ones(bench: ModuleType, data: Path) -> None:
    with pytest.raises(DrfuseError, match="unknown preset 'fog'") as caught:
        bench.run(options(bench, data, "--presets", "fog"), fuse, lift)
    assert "composite" in str(caught.value.hint)
