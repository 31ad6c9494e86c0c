"""The quality benchmark's bookkeeping, with a stand-in for the engine."""

from __future__ import annotations

import csv
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from bench_support import load_bench
from evaluation_support import make_data, quick_fuse

from drfuse_cli.colour import luma8
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import read_image
from drfuse_cli.metrics import DRFUSION_TABLE, psnr, score


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load_bench("quality/run.py")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two clean pairs of 34 x 42, which four does not divide."""
    return make_data(tmp_path / "data", "a", "b")


def options(bench: ModuleType, data: Path, *more: str) -> Any:
    arguments = ["--data", str(data), "--task", "ivif", "--workers", "1", *more]
    return bench.parse_arguments(arguments)


def rows(bench: ModuleType, data: Path, preset: str, *more: str) -> list[dict[str, Any]]:
    found = bench.run(options(bench, data, "--presets", preset, *more), quick_fuse)
    rows: list[dict[str, Any]] = bench.rows_of(found[preset])
    return rows


def test_scores_every_pair_against_the_cropped_clean_sources(
    bench: ModuleType, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = bench.run(options(bench, data, "--presets", "noise,composite"), quick_fuse)
    assert list(results) == ["noise", "composite"]
    noise, composite = (bench.rows_of(found) for found in results.values())
    assert [row["name"] for row in composite] == ["a", "b"]
    assert all(row["lift1"] > row["degraded1"] for row in composite)
    # 20 log10(255 / 13.97)
    assert noise[0]["degraded1"] == pytest.approx(25.23, abs=0.4)
    assert noise[0]["restored1"] == noise[0]["degraded1"]
    assert "ivif, composite (n = 2, 0.50 s a pair)" in capsys.readouterr().out


def test_the_columns_are_those_of_the_clean_sources(
    bench: ModuleType, data: Path, tmp_path: Path
) -> None:
    row = rows(bench, data, "composite", "--out", str(tmp_path))[1]
    first, second = (luma8(read_image(data / role / "b.png")) for role in ("ir", "vis"))
    cut = first[:32, :40], second[:32, :40]
    fused = luma8(read_image(tmp_path / "composite" / "drfusion" / "b.png"))
    for column, expected in score(*cut, fused, DRFUSION_TABLE).items():
        assert row[column] == expected.value
    restored = luma8(read_image(tmp_path / "composite" / "restored2" / "b.png"))
    assert row["restored2"] == psnr(restored, cut[1])


def test_the_document_holds_means_and_pairs(bench: ModuleType, data: Path) -> None:
    found = bench.run(options(bench, data, "--presets", "noise"), quick_fuse)["noise"]
    document = bench.document_of(found)
    assert document["mean"]["seconds"] == 0.5
    for key in ("Q_G", "degraded1", "lift2", "restored1"):
        values = [row[key] for row in document["pairs"]]
        assert document["mean"][key] == pytest.approx(np.mean(values))


def test_the_noise_does_not_depend_on_which_pairs_run(bench: ModuleType, data: Path) -> None:
    everything = rows(bench, data, "noise")
    (data / "ir" / "a.png").unlink()
    (data / "vis" / "a.png").unlink()
    assert rows(bench, data, "noise") == everything[1:]


def test_equal_images_have_no_psnr(bench: ModuleType, data: Path) -> None:
    assert [row["restored1"] for row in rows(bench, data, "none")] == [None, None]


def test_every_unseen_setting_runs(bench: ModuleType, data: Path) -> None:
    arguments = options(bench, data, "--presets", "unseen", "--limit", "1")
    results = bench.run(arguments, quick_fuse)
    assert list(results) == list(bench.UNSEEN)
    assert all(len(bench.rows_of(found)) == 1 for found in results.values())


def test_a_pair_that_fails_ends_the_run(bench: ModuleType, data: Path) -> None:
    (data / "ir" / "b.png").write_bytes(b"")
    with pytest.raises(DrfuseError, match=r"b: .*is empty"):
        rows(bench, data, "noise")


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
    found = bench.standings(tmp_path, "ivif", "noise", both, {"Q_G": 0.3, "Q_P": 0.5})
    assert (found["Q_G"].best, found["Q_G"].whose) == (pytest.approx(0.4), "good")
    assert (found["Q_G"].place, found["Q_G"].of) == (2, 3)
    assert found["Q_P"].place == 1
    assert found["Q_P"].gain == pytest.approx(0.1)
    assert bench.summary(found.values()) == "first in 1 of 2 cells, never below place 2"
    alone = bench.standings(tmp_path, "ivif", "noise", both[:1], {"Q_G": 0.1})
    assert (alone["Q_G"].best, alone["Q_G"].whose) == (0.9, "partial")
    assert bench.standings(tmp_path, "ivif", "blur", both, {"Q_G": 0.1}) == {}
    bench.run(options(bench, data, "--presets", "noise", "--peers", str(tmp_path)), quick_fuse)
    printed = capsys.readouterr().out
    assert "good" in printed
    assert "40.12" in printed
    assert "of 6 cells, never below place" in printed
    bench.run(
        options(bench, data, "--presets", "noise", "--peers", str(tmp_path), "--seed", "1"),
        quick_fuse,
    )
    captured = capsys.readouterr()
    assert "good" not in captured.out
    assert "seed 2026" in captured.err


def test_an_unknown_preset_names_the_known_ones(bench: ModuleType, data: Path) -> None:
    with pytest.raises(DrfuseError, match="unknown preset 'fog'") as caught:
        bench.run(options(bench, data, "--presets", "fog"), quick_fuse)
    assert "composite" in str(caught.value.hint)
