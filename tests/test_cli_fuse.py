"""`drfuse fuse`: its files, its sidecar, and everything it refuses before the work starts."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_support import TINY_WEIGHTS, Cli, FakeEngine, noise, save, use_fake_engine

from drfuse_cli import __version__
from drfuse_cli.imageio import Image, decode_image, read_image, write_bytes
from drfuse_cli.report import sidecar


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    return use_fake_engine(monkeypatch)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: an infrared image a quarter of the size of a visible one."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "ir.png", noise(16, 24))
    save(tmp_path / "vis.png", noise(64, 96, colour=True, seed=1))
    return tmp_path


FUSE = ("fuse", "ir.png", "vis.png", "-o", "out.png")


def loaded(path: str | Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(path).read_bytes())
    return document


# ---- what it writes -------------------------------------------------------------------------


def test_the_fused_image_and_the_sidecar(drfuse: Cli, folder: Path) -> None:
    done = drfuse(*FUSE, "--degrade", "composite")
    assert done.text == "out.png\n"
    fused = read_image("out.png")
    assert (fused.width, fused.height, fused.colour) == (96, 64, True)
    document = loaded("out.png.json")
    seconds = document.pop("seconds")
    assert set(seconds) == {"load", "read", "fuse", "write"}
    assert all(value >= 0 for value in seconds.values())
    registration = document.pop("registration")
    assert (registration["mode"], registration["applied"]) == ("auto", None)
    assert document.pop("agc") == {"mode": "auto", "sources": [None, None]}
    assert document.pop("destripe") == {"mode": "none", "columns": None, "rows": None}
    assert document.pop("fit") is document.pop("profile") is document.pop("crop") is None
    assert document == {
        "schema": "drfuse.fuse/1",
        "version": __version__,
        "task": "ivif",
        "method": "drfusion",
        "method_reasons": [],
        "inputs": [
            {"path": "ir.png", "sha256": read_image("ir.png").sha256, "width": 24, "height": 16,
             "bit_depth": 8, "colour": False},
            {"path": "vis.png", "sha256": read_image("vis.png").sha256, "width": 96, "height": 64,
             "bit_depth": 8, "colour": True},
        ],
        "output": {"path": "out.png", "width": 96, "height": 64, "bit_depth": 8, "colour": True},
        "operators": [
            {"noise_std": 2.015, "blur_sigma": 2.0, "sr_scale": 4, "psf": None,
             "zero_border": False,
             "origin": {"noise_std": "preset", "blur_sigma": "preset", "sr_scale": "sizes"}},
            {"noise_std": 8.06, "blur_sigma": 2.0, "sr_scale": 1, "psf": None,
             "zero_border": False,
             "origin": {"noise_std": "preset", "blur_sigma": "preset", "sr_scale": "sizes"}},
        ],
        "weights": TINY_WEIGHTS,
        "steps": 3,
        "correction": True,
        "correction_mode": "joint",
        "self_ensemble": 1,
        "device": "cpu",
        "precision": "fp32",
        "tile": "auto",
        "seed": 0,
        "residuals": [{"rms": 1.5, "expected": 2.015}, {"rms": 1.5, "expected": 2.015}],
        "warnings": [],
    }  # fmt: skip
    assert sorted(os.listdir()) == ["ir.png", "out.png", "out.png.json", "vis.png"]


def test_json_is_the_sidecar(drfuse: Cli) -> None:
    done = drfuse(*FUSE, "--json")
    assert json.loads(done.out) == loaded("out.png.json")
    assert "source 1 (ir.png)" in done.err


def test_says_what_was_assumed_and_from_where(drfuse: Cli) -> None:
    done = drfuse(*FUSE, "--noise-std", "3,5")
    assert "noise std 3 (given)" in done.err
    assert "no blur (assumed)" in done.err
    assert "4 times smaller (from the sizes)" in done.err
    again = drfuse(*FUSE, "--overwrite")
    assert "(estimated from the file)" in again.err


def test_no_sidecar(drfuse: Cli) -> None:
    drfuse(*FUSE, "--no-sidecar")
    assert Path("out.png").exists()
    assert not Path("out.png.json").exists()


def test_saves_sources_and_explanations(drfuse: Cli) -> None:
    drfuse(*FUSE, "--save-sources", "s", "--explain", "e", "--steps", "2", "--noise-std", "0.5")
    assert sorted(os.listdir("s")) == ["source1.png", "source2.png"]
    assert read_image("s/source1.png").width == 96
    states = ["source1", "source2", "fused", "weights"]
    expected = {f"step{k}_{name}.png" for k in (1, 2) for name in states}
    assert set(os.listdir("e")) == expected | {"weight_map.png", "residual1.png", "residual2.png"}
    residual = read_image("e/residual1.png").pixels.astype(int)
    assert residual[0, 0, 2] > residual[0, 0, 0] + 50  # negative: blue
    assert residual[-1, -1, 0] > residual[-1, -1, 2] + 50  # positive: red
    weights = read_image("e/weight_map.png").pixels
    assert (weights[0, 0], weights[-1, -1]) == (0, 255)


def test_a_new_folder_is_made(drfuse: Cli) -> None:
    drfuse("fuse", "ir.png", "vis.png", "-o", "new/deep/out.tif")
    assert read_image("new/deep/out.tif").width == 96


def test_png_on_stdout(drfuse: Cli) -> None:
    done = drfuse("fuse", "ir.png", "vis.png", "-o", "-")
    assert decode_image(done.out, "stdout").width == 96
    assert done.out.startswith(b"\x89PNG")
    assert done.out.endswith(b"IEND\xaeB`\x82")
    assert "source 1" in done.err
    assert sorted(os.listdir()) == ["ir.png", "vis.png"]


def test_json_beside_a_png_on_stdout(drfuse: Cli) -> None:
    done = drfuse("fuse", "ir.png", "vis.png", "-o", "-", "--json")
    assert decode_image(done.out, "stdout").width == 96
    assert json.loads(done.err)["output"]["path"] == "-"


def test_sixteen_bits_stay(drfuse: Cli, engine: type[FakeEngine]) -> None:
    save(Path("ir16.png"), noise(64, 96, bits=16))
    drfuse("fuse", "ir16.png", "vis.png", "-o", "out.png")
    assert read_image("out.png").bits == 16
    assert loaded("out.png.json")["inputs"][0]["bit_depth"] == 16
    before = len(engine.calls)
    done = drfuse("fuse", "ir16.png", "vis.png", "-o", "out.jpg", code=2)
    assert "out.jpg" in done.err
    assert len(engine.calls) == before


def test_flags_reach_the_engine(drfuse: Cli, engine: type[FakeEngine]) -> None:
    drfuse(
        *FUSE, "--task", "medical", "--steps", "2", "--no-correction", "--device", "cpu",
        "--precision", "bf16", "--tile", "64", "--seed", "7", "--weights", "some",
    )  # fmt: skip
    chosen, _ = engine.calls[-1]
    assert (chosen.task, chosen.steps, chosen.correction) == ("medical", 2, "none")
    assert (chosen.device, chosen.precision, chosen.tile) == ("cpu", "bf16", 64)
    assert (chosen.seed, chosen.weights, chosen.keep_states) == (7, "some", False)
    assert loaded("out.png.json")["correction"] is False


def test_tile_values(drfuse: Cli, engine: type[FakeEngine]) -> None:
    for text, tile in (("auto", None), ("0", 0)):
        drfuse(*FUSE, "--overwrite", "--tile", text)
        assert engine.calls[-1][0].tile == tile


def test_repeated_from_the_sidecar_alone(drfuse: Cli, engine: type[FakeEngine]) -> None:
    np.save("k.npy", np.ones((3, 3)))
    drfuse(
        *FUSE, "--degrade", "composite", "--psf", "none,k.npy", "--seed", "3", "--steps", "2",
        "--correction", "data", "--tile", "32", "--device", "cpu", "--precision", "fp32",
        "--weights", TINY_WEIGHTS["name"],
    )  # fmt: skip
    document = loaded("out.png.json")
    drfuse(*sidecar.arguments(document, "again.png"))
    (first, second) = engine.calls
    assert first == second
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()
    changed = {**document, "seed": 4}
    assert "4" in sidecar.arguments(changed, "x.png")


def test_an_estimate_is_repeated_as_a_value(drfuse: Cli, engine: type[FakeEngine]) -> None:
    drfuse(*FUSE, "--weights", TINY_WEIGHTS["name"], "--device", "cpu", "--precision", "fp32")
    drfuse(*sidecar.arguments(loaded("out.png.json"), "again.png"))
    (_, estimated), (_, given) = engine.calls
    assert estimated == given
    assert given[0].noise_std == pytest.approx(8, abs=2)


# ---- what it warns of -----------------------------------------------------------------------


def test_swapped_roles(drfuse: Cli) -> None:
    done = drfuse("fuse", "vis.png", "ir.png", "-o", "out.png")
    assert "roles swapped?" in done.err
    assert any("swapped" in text for text in loaded("out.png.json")["warnings"])
    assert "swapped" not in drfuse(*FUSE, "--overwrite").err


def test_the_same_file_twice(drfuse: Cli) -> None:
    assert "same file" in drfuse("fuse", "ir.png", "ir.png", "-o", "out.png").err


def test_a_constant_image(drfuse: Cli) -> None:
    save(Path("flat.png"), Image(np.full((64, 96), 7, np.uint8)))
    done = drfuse("fuse", "flat.png", "vis.png", "-o", "out.png")
    assert "source 1 has one value everywhere" in done.err
    assert Path("out.png").exists()


# ---- what it refuses before the work ------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "extra"),
    [
        ("out.png", ()),
        ("out.png.json", ()),
        ("s/source2.png", ("--save-sources", "s")),
        ("e/weight_map.png", ("--explain", "e")),
    ],
)
def test_existing_outputs(
    drfuse: Cli, engine: type[FakeEngine], taken: str, extra: tuple[str, ...]
) -> None:
    write_bytes(taken, b"mine")
    done = drfuse(*FUSE, *extra, code=2)
    assert taken in done.err
    assert "--overwrite" in done.err
    assert Path(taken).read_bytes() == b"mine"
    assert engine.calls == []
    drfuse(*FUSE, *extra, "--overwrite")
    assert Path(taken).read_bytes() != b"mine"


@pytest.mark.parametrize("kind", ["name", "dots", "symlink", "hard link", "psf"])
def test_an_output_that_is_an_input(drfuse: Cli, folder: Path, kind: str) -> None:
    output, extra = "ir.png", ()
    if kind == "dots":
        output = f"../{folder.name}/vis.png"
    elif kind == "symlink":
        output = "link.png"
        os.symlink("ir.png", output)
    elif kind == "hard link":
        output = "hard.png"
        os.link("vis.png", output)
    elif kind == "psf":
        save(Path("k.png"), Image(np.full((3, 3), 9, np.uint8)))
        output, extra = "k.png", ("--psf", "k.png,none")
    before = Path(output).read_bytes()
    done = drfuse("fuse", "ir.png", "vis.png", "-o", output, *extra, "--overwrite", code=2)
    assert "also an input" in done.err
    assert Path(output).read_bytes() == before


def test_two_outputs_of_one_name(drfuse: Cli) -> None:
    arguments = ("fuse", "ir.png", "vis.png", "-o", "s/source1.png", "--save-sources", "s")
    assert "two outputs" in drfuse(*arguments, code=2).err


@pytest.mark.parametrize(
    "output", [".", "", "/", "..", "sub/", "out", "out.gif", "a" * 252 + ".png"]
)
def test_output_names_that_cannot_be(drfuse: Cli, engine: type[FakeEngine], output: str) -> None:
    Path("sub").mkdir()
    drfuse("fuse", "ir.png", "vis.png", "-o", output, code=2)
    assert engine.calls == []


def test_a_file_where_a_folder_is_needed(drfuse: Cli, engine: type[FakeEngine]) -> None:
    done = drfuse("fuse", "ir.png", "vis.png", "-o", "ir.png/deep/out.png", code=2)
    assert "ir.png: a file stands where a folder is needed" in done.err
    assert engine.calls == []


def test_a_read_only_folder(
    drfuse: Cli, engine: type[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    done = drfuse("fuse", "ir.png", "vis.png", "-o", "sub/out.png", code=4)
    assert "sub: nothing can be written" in done.err
    assert engine.calls == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--method", "refuse"), "--method"),
        (("--degrade", "strong"), "--degrade"),
        (("--task", "x"), "--task"),
        (("--noise-std", "a"), "--noise-std"),
        (("--noise-std", "1,2,3"), "--noise-std"),
        (("--noise-std", "nan"), "--noise-std"),
        (("--noise-std=-1",), "--noise-std"),
        (("--blur-sigma", "99"), "--blur-sigma"),
        (("--sr-scale", "1.5"), "--sr-scale"),
        (("--sr-scale", "0"), "--sr-scale"),
        (("--sr-scale", "2"), "--sr-scale"),
        (("--psf", "missing.npy"), "missing.npy"),
        (("--psf", "ir.png"), "ir.png"),
        (("--steps", "0"), "--steps"),
        (("--device", "tpu"), "--device"),
        (("--device", "cpu:1"), "--device"),
        (("--device", "cuda:x"), "--device"),
        (("--tile", "-5"), "--tile"),
        (("--tile", "big"), "--tile"),
        (("--seed", "x"), "--seed"),
        (("--no-correction", "--correction", "data"), "--no-correction"),
        (("--no-such-flag",), "--no-such-flag"),
    ],
    ids=" ".join,
)
def test_wrong_flags(
    drfuse: Cli, engine: type[FakeEngine], flags: tuple[str, ...], said: str
) -> None:
    done = drfuse(*FUSE, *flags, code=2)
    assert said in done.err
    assert done.out == b""
    assert engine.calls == []
    assert not Path("out.png").exists()


def test_bad_inputs(drfuse: Cli, engine: type[FakeEngine]) -> None:
    png = Path("vis.png").read_bytes()
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 4
    bad = {
        "missing.png": None,
        "empty.png": b"",
        "truncated.png": png[: len(png) // 2],
        "flipped.png": bytes(flipped),
        "disguised.png": b"GIF89a" + bytes(40),
        "text.png": b"hello",
    }
    for name, data in bad.items():
        if data is not None:
            Path(name).write_bytes(data)
        for sources in ((name, "vis.png"), ("ir.png", name)):
            done = drfuse("fuse", *sources, "-o", "out.png", code=2)
            assert name in done.err
    Path("folder.png").mkdir()
    assert "folder.png" in drfuse("fuse", "folder.png", "vis.png", "-o", "out.png", code=2).err
    assert engine.calls == []
    assert not Path("out.png").exists()


def test_sizes_that_do_not_go_together(drfuse: Cli) -> None:
    save(Path("wide.png"), noise(16, 50))
    assert "shapes differ" in drfuse("fuse", "wide.png", "vis.png", "-o", "o.png", code=2).err
    save(Path("half.png"), noise(40, 60))
    done = drfuse("fuse", "half.png", "vis.png", "-o", "o.png", code=2)
    assert "60x40 and 96x64" in done.err
    assert "not a whole number" in done.err


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3)])
def test_tiny_sizes(drfuse: Cli, size: tuple[int, int]) -> None:
    for name in ("a.png", "b.png"):
        save(Path(name), noise(*size))
    for preset in ("auto", "composite", "blur"):
        drfuse("fuse", "a.png", "b.png", "-o", "o.png", "--overwrite", "--degrade", preset)
    assert (read_image("o.png").height, read_image("o.png").width) == size


# ---- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["[red]x[bold].png", "x\ny.png", "ü ,x.png", "-x.png"])
def test_hostile_names(drfuse: Cli, name: str) -> None:
    shutil.copy("ir.png", name)
    out = f"out {name}"
    done = drfuse("fuse", "-o", out, "--", name, "vis.png")
    assert loaded(f"{out}.json")["inputs"][0]["path"] == name
    assert done.text == f"{out}\n".replace("x\ny", "x\\ny")
    assert name.replace("\n", "\\n") in done.err
    Path(name).unlink()
    again = drfuse("fuse", "-o", "other.png", "--", name, "vis.png", code=2)
    assert again.err.startswith(f"error: {name}".replace("x\ny", "x\\ny") + ": no such file")


def test_a_name_that_is_not_utf8(drfuse: Cli) -> None:
    name = os.fsdecode(b"\xff.png")
    shutil.copy("ir.png", name)
    done = drfuse("fuse", name, "vis.png", "-o", os.fsdecode(b"o\xfe.png"))
    assert "\\udcff.png" in done.err
    assert done.text == "o\\udcfe.png\n"
    assert loaded(os.fsdecode(b"o\xfe.png.json"))["inputs"][0]["path"] == name


def test_a_psf_name_with_a_comma(drfuse: Cli, engine: type[FakeEngine]) -> None:
    np.save("a,b.npy", np.ones((3, 5)))
    drfuse(*FUSE, "--psf", "a,b.npy")
    assert all(d.psf is not None and d.psf.shape == (3, 5) for d in engine.calls[0][1])
