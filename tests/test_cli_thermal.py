"""``--agc`` and ``--fit`` as they are typed: what is printed, written, recorded and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from batch_support import lines, make_weights
from cli_support import Cli, FakeEngine, noise, save, use_fake_engine

from drfuse_cli.config import Pair
from drfuse_cli.degradations import Overrides
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.report.sidecar import arguments
from drfuse_cli.scenes import render
from drfuse_cli.sequence.frames import settled
from drfuse_cli.sources import Assumptions, read_sources

COUNTS = (7000 + np.random.default_rng(0).integers(0, 1200, (18, 24))).astype(np.uint16)
COUNTS[0, 0], COUNTS[5, 6] = 7000, 9500
FUSE = ("fuse", "ir.png", "vis.png", "-o", "out.png", "--degrade", "none")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    return use_fake_engine(monkeypatch)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Counts of a thermal camera, and visible pictures of four, and of 4.4 times the size."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "ir.png", Image(COUNTS))
    save(tmp_path / "vis.png", noise(72, 96, colour=True))
    save(tmp_path / "odd.png", noise(80, 106, colour=True))
    save(tmp_path / "wide.png", noise(72, 160, colour=True))
    return tmp_path


def sidecar() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path("out.png.json").read_bytes())
    return document


# ---- gain control --------------------------------------------------------------------------------


def test_counts_become_levels_and_come_back(drfuse: Cli, engine: type[FakeEngine]) -> None:
    done = drfuse(*FUSE, "--save-sources", "s")
    assert "source 1: gain control: 7000 becomes black, 9500 white" in done.err
    document = sidecar()
    assert document["agc"]["mode"] == "auto"
    first, second = document["agc"]["sources"]
    assert (first["kind"], first["low"], first["high"]) == ("percentile", 7000, 9500)
    assert second is None
    assert document["output"]["bit_depth"] == 16
    restored = read_image("s/source1.png")
    np.testing.assert_array_equal(restored.pixels[::4, ::4], COUNTS)


def test_none_takes_the_file_as_it_stands(drfuse: Cli, engine: type[FakeEngine]) -> None:
    done = drfuse(*FUSE, "--agc", "none")
    assert "gain control" not in done.err
    assert sidecar()["agc"] == {"mode": "none", "sources": [None, None]}


def test_clahe_is_not_undone(drfuse: Cli, engine: type[FakeEngine]) -> None:
    done = drfuse(*FUSE, "--agc", "clahe", "--save-sources", "s")
    assert "then CLAHE, which cannot be undone" in done.err
    assert sidecar()["agc"]["sources"][0]["reversible"] is False
    assert read_image("s/source1.png").pixels.max() > 9500


def test_noise_is_given_as_it_stands_in_the_file(drfuse: Cli, engine: type[FakeEngine]) -> None:
    drfuse(*FUSE, "--noise-std", "0.05,3")
    first, second = (operator["noise_std"] for operator in sidecar()["operators"])
    gain = sidecar()["agc"]["sources"][0]["gain"]
    assert first == pytest.approx(0.05 * gain)
    assert second == 3
    drfuse(*FUSE, "--noise-std", "0.05,3", "--agc", "clahe", "--overwrite")
    assert sidecar()["operators"][0]["noise_std"] == 0.05
    drfuse(*FUSE, "--degrade", "noise", "--overwrite")
    assert sidecar()["operators"][0]["noise_std"] == 13.97


@pytest.mark.parametrize(
    "flags",
    [
        ("--noise-std", "0.05,3"),
        ("--degrade", "noise"),
        ("--noise-std", "0.05", "--agc", "clahe"),
        ("--noise-std", "0.05,7", "--agc", "none"),
    ],
)
@pytest.mark.parametrize("fit", [("vis.png",), ("odd.png", "--fit", "crop")])
def test_the_sidecar_repeats_the_run(
    drfuse: Cli, engine: type[FakeEngine], flags: tuple[str, ...], fit: tuple[str, ...]
) -> None:
    drfuse("fuse", "ir.png", *fit, "-o", "out.png", "--degrade", "none", *flags)
    document = sidecar()
    drfuse(*arguments(document, "again.png"))
    (_, first), (_, second) = engine.calls
    assert first == second
    again = json.loads(Path("again.png.json").read_bytes())
    for name in ("agc", "fit", "inputs"):
        assert again[name] == document[name]


def test_noise_in_counts_is_found_after_gain_control(folder: Path) -> None:
    ir, vis = render("crossing", 320, 240, seed=3)
    clean = 7300 + ir.pixels * (900 / 255)
    counts = clean + np.random.default_rng(0).normal(0, 20, clean.shape)
    counts[100:104, 40:43] = 9500
    paths = save(folder / "a.png", Image(np.round(counts).astype(np.uint16))), folder / "b.png"
    save(paths[1], vis)
    told = Assumptions("ivif", "auto", Overrides())
    taken, plain = (read_sources(paths, replace(told, agc=agc)) for agc in ("auto", "none"))
    levels = taken.intake.levels[0]
    assert levels is not None
    assert taken.degradations[0].noise_std == pytest.approx(20 / 257 * levels.gain, rel=0.1)
    assert plain.degradations[0].noise_std < 0.5


def test_degrees_in_a_floating_point_file(drfuse: Cli, engine: type[FakeEngine]) -> None:
    celsius = (COUNTS * 0.04 - 273.15).astype(np.float32)
    PIL.Image.fromarray(celsius).save("ir.tif")
    command = ("fuse", "ir.tif", "vis.png", "-o", "out.png", "--degrade", "none")
    done = drfuse(*command)
    assert f"gain control: {celsius.min():.7g} becomes black" in done.err
    document = sidecar()
    assert document["inputs"][0]["bit_depth"] == 32
    assert document["agc"]["sources"][0]["high"] == pytest.approx(celsius.max(), abs=1e-3)
    refused = drfuse(*command, "--agc", "none", "--overwrite", code=2)
    assert "ir.tif: holds floating-point pixels" in refused.err
    swapped = drfuse("fuse", "vis.png", "ir.tif", "-o", "x.png", code=2)
    assert "ir.tif: holds floating-point pixels" in swapped.err


def test_a_12_bit_visible_camera(drfuse: Cli, engine: type[FakeEngine]) -> None:
    save(Path("vis.png"), Image(read_image("vis.png").pixels.astype(np.uint16) * 16))
    done = drfuse(*FUSE, "--save-sources", "s")
    assert "source 2: 4095 is white: 12 bits in a 16-bit file" in done.err
    assert sidecar()["agc"]["sources"][1]["high"] == 4095
    assert np.array_equal(read_image("s/source2.png").pixels, read_image("vis.png").pixels)


def test_inspect_looks_at_what_fuse_would_take(drfuse: Cli) -> None:
    done = drfuse("inspect", "ir.png", "--json")
    (found,) = json.loads(done.out)["images"]
    assert (found["levels"]["low"], found["levels"]["high"]) == (7000, 9500)
    assert "ir.png: gain control: 7000 becomes black" in drfuse("inspect", "ir.png").err
    (plain,) = json.loads(drfuse("inspect", "vis.png", "--json").out)["images"]
    assert plain["levels"] is None


# ---- sizes --------------------------------------------------------------------------------------


def test_sizes_are_refused_without_the_flag(drfuse: Cli, engine: type[FakeEngine]) -> None:
    for name in ("odd.png", "wide.png"):
        done = drfuse("fuse", "ir.png", name, "-o", "out.png", code=2)
        assert "--fit crop" in done.err
    assert engine.calls == []


def test_crop_is_told_and_recorded(drfuse: Cli, engine: type[FakeEngine]) -> None:
    done = drfuse("fuse", "ir.png", "odd.png", "-o", "out.png", "--fit", "crop",
                  "--noise-std", "0,5")  # fmt: skip
    assert "source 2: resampled to 96x72" in done.err
    document = sidecar()
    assert (document["inputs"][1]["width"], document["inputs"][1]["height"]) == (106, 80)
    assert document["output"]["width"] == 96
    assert document["fit"]["mode"] == "crop"
    change = document["fit"]["sources"][1]
    assert (change["box"], change["resized"]) == ([0, 0, 106, 80], [96, 72])
    assert document["operators"][1]["noise_std"] == pytest.approx(5 * change["noise_gain"])
    done = drfuse("fuse", "ir.png", "wide.png", "-o", "out.png", "--fit", "crop", "--overwrite")
    assert "source 2: cropped from 160x72 to 96x72 at 32,0" in done.err
    assert "from the sizes" in done.err


def test_letterbox_shows_what_one_source_sees(drfuse: Cli, engine: type[FakeEngine]) -> None:
    drfuse("fuse", "ir.png", "wide.png", "-o", "out.png", "--fit", "letterbox",
           "--save-sources", "s")  # fmt: skip
    fused, seen = read_image("out.png").pixels, read_image("s/source2.png").pixels
    assert fused.shape == (72, 160, 3)
    assert np.array_equal(fused[:, :32], seen[:, :32].astype(np.uint16) * 257)
    assert np.ptp(fused[:, 32:-32], axis=(0, 1)).max() == 0  # what the fake engine makes
    blind = read_image("s/source1.png").pixels
    assert not blind[:, :32].any()
    assert not blind[:, -32:].any()
    assert np.array_equal(blind[::4, 32:-32:4], COUNTS)


# ---- refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ((*FUSE, "--task", "multifocus", "--agc", "clahe"), "--agc clahe is for infrared"),
        (("batch", ".", "-o", "o", "--task", "medical", "--agc", "percentile"), "for infrared"),
        ((*FUSE, "--agc", "histogram"), "Invalid value for '--agc'"),
        ((*FUSE, "--fit", "stretch"), "Invalid value for '--fit'"),
        (("fuse", "vis.png", "vis.png", "-o", "x.png", "--agc", "percentile"), "has colour"),
        (("fuse", "a.nii", "b.nii", "-o", "x.nii", "--task", "medical", "--fit", "crop"),
         "--fit crop is not for DICOM"),
        (("batch", "a.mp4", "b.mp4", "-o", "c.mp4", "--fit", "crop"), "does not go with videos"),
        (("batch", "a.mp4", "b.mp4", "-o", "c.mp4", "--agc", "clahe"), "does not go with videos"),
    ],
)  # fmt: skip
def test_flags_that_cannot_be_followed(
    drfuse: Cli, engine: type[FakeEngine], command: tuple[str, ...], message: str
) -> None:
    done = drfuse(*command, code=2)
    assert message in done.err
    assert engine.calls == []


# ---- folders -------------------------------------------------------------------------------------


@pytest.fixture
def batch(folder: Path) -> list[str]:
    for name in ("1", "2"):
        save(folder / "set" / "ir" / f"{name}.png", Image(COUNTS))
        save(folder / "set" / "vis" / f"{name}.png", noise(72, 100, colour=True))
    weights = make_weights(folder / "w.safetensors")
    return [
        "batch", "set", "-o", "out", "--degrade", "noise", "--noise-std", "0.05,3", "--weights",
        str(weights), "--device", "cpu", "--workers", "1",
    ]  # fmt: skip


def test_batch_takes_and_records_the_same(drfuse: Cli, batch: list[str]) -> None:
    drfuse(*batch, "--fit", "crop", "--save-sources", "s")
    document = lines(Path("out"))[0]
    assert document["agc"]["sources"][0]["high"] == 9500
    assert document["fit"]["sources"][1]["box"] == [2, 0, 96, 72]
    restored = read_image("s/source1/1.png").pixels
    assert 7000 <= restored.min() < restored.max() <= 9500
    for flags, name in (
        (("--fit", "letterbox"), "fit"),
        (("--fit", "crop", "--agc", "none"), "agc"),
    ):
        done = drfuse(*batch, *flags, "--save-sources", "s", "--resume", code=2)
        assert f"had another {name}: " in done.err
    assert "2 done" in drfuse(*batch, "--fit", "crop", "--save-sources", "s", "--resume").err


def test_without_the_flag_every_pair_says_why(drfuse: Cli, batch: list[str]) -> None:
    done = drfuse(*batch, code=1)
    assert done.err.count("their shapes differ") + done.err.count("not a whole number") == 2


def test_a_sequence_has_one_gain(folder: Path) -> None:
    pairs = []
    for number in range(3):
        paths = folder / f"{number}i.png", folder / f"{number}v.png"
        save(paths[0], Image(COUNTS + np.uint16(40 * number)))
        save(paths[1], noise(72, 96, colour=True, seed=number))
        pairs.append(Pair(str(number), *paths))
    told = settled(Assumptions("ivif", "none", Overrides(noise_std=(0.05, 3.0))), pairs)
    assert told.settled is not None
    assert told.levels is not None
    assert told.levels[0] is not None
    assert told.settled[0].noise_std == pytest.approx(0.05 * told.levels[0].gain)
    frames = [read_sources((pair.source1, pair.source2), told) for pair in pairs]
    assert len({frame.intake.levels for frame in frames}) == 1
    shift = frames[1].images[0].pixels.astype(int) - frames[0].images[0].pixels
    assert shift.std() < 0.02 * shift.mean()
    save(pairs[2].source1, Image(COUNTS + np.uint16(3000)))
    (warning,) = read_sources((pairs[2].source1, pairs[2].source2), told).warnings
    assert "lie beyond the range of the sequence" in warning
