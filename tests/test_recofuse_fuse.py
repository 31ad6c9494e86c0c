"""`--method recofuse` on the command line, with small random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_support import Cli
from recofuse_support import TINY, tiny_weights

from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.engine import Engine
from drfuse_cli.engine.recofuse import _blended
from drfuse_cli.imageio import Image, read_image, write_image
from drfuse_cli.impairments import LowContrast, Noise, impair_image
from drfuse_cli.networks.precision import Precision
from drfuse_cli.report.sidecar import arguments
from drfuse_cli.scenes import render
from drfuse_cli.weights import load_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


def picture(
    height: int, width: int, *, bits: int = 8, colour: bool = False, seed: int = 0
) -> Image:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    wave = 0.5 + 0.35 * np.sin(x / 5 + seed) * np.cos(y / 7)
    shape = (height, width, 3) if colour else (height, width)
    values = (wave[..., None] if colour else wave) + rng.normal(0, 0.02, shape)
    top = 255 if bits == 8 else 65535
    return Image(
        np.clip(np.rint(top * values), 0, top).astype(np.uint8 if bits == 8 else np.uint16)
    )


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    files = tmp_path / "ir.png", tmp_path / "vis.png"
    write_image(files[0], picture(41, 53))
    write_image(files[1], picture(41, 53, colour=True, seed=1))
    return files


def test_a_pair_becomes_one_image(
    drfuse: Cli, pair: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    out, saved = tmp_path / "out.png", tmp_path / "sources"
    done = drfuse(
        "fuse", *map(str, pair), "-o", str(out), "--method", "recofuse", "--weights", str(weights),
        "--save-sources", str(saved), "--json",
    )  # fmt: skip
    document = json.loads(done.out)
    assert document["method"] == "recofuse"
    assert document["steps"] == 6
    assert document["warnings"] == []
    fused = read_image(out)
    assert (fused.height, fused.width, fused.colour) == (41, 53, True)
    first, second = (read_image(saved / f"source{n}.png") for n in (1, 2))
    assert not first.colour
    assert second.colour
    assert not np.array_equal(fused.pixels, second.pixels)


def test_stripes_of_infrared_are_taken_out_first(
    drfuse: Cli, weights: Path, tmp_path: Path
) -> None:
    """The networks see nearly the same picture with stripes as without."""
    infrared, visible = render("street-day", 160, 128, 0)
    levels = infrared.pixels.astype(np.float64)
    offsets = np.random.default_rng(0).normal(0, 4, levels.shape[1])
    striped = Image(np.rint(levels + offsets).clip(0, 255).astype(np.uint8))
    write_image(tmp_path / "vis.png", visible)
    restored = []
    for name, image in (("clean", infrared), ("striped", striped)):
        write_image(tmp_path / f"{name}.png", image)
        done = drfuse(
            "fuse", str(tmp_path / f"{name}.png"), str(tmp_path / "vis.png"), "-o",
            str(tmp_path / f"{name}-fused.png"), "--method", "recofuse", "--weights", str(weights),
            "--save-sources", str(tmp_path / name),
        )  # fmt: skip
        assert ("source 1: stripes of columns" in done.err) == (name == "striped")
        source = read_image(tmp_path / name / "source1.png")
        restored.append(source.pixels.astype(np.float64))
    columns = (restored[1] - restored[0]).mean(0)
    assert np.abs(columns).mean() < 0.35 * np.abs(offsets).mean()


def test_what_it_does_not_use_is_said(
    drfuse: Cli, pair: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    call = ["fuse", *map(str, pair), "--method", "recofuse", "--weights", str(weights)]
    plain = drfuse(*call, "-o", str(tmp_path / "a.png"), "--json")
    asked = drfuse(
        *call, "-o", str(tmp_path / "b.png"), "--json", "--blur-sigma", "2", "--degrade", "noise",
        "--no-correction", "--self-ensemble", "2",
    )  # fmt: skip
    assert json.loads(plain.out)["warnings"] == []
    (warning,) = json.loads(asked.out)["warnings"]
    assert "does not use --degrade noise, --blur-sigma, --correction none, --self" in warning
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# ---- restored first -------------------------------------------------------------------------


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> list[str]:
    """A noisy pair of files, and the command that fuses it with restoration first."""
    monkeypatch.chdir(tmp_path)
    for name, image in zip(("ir", "vis"), render("street-day", 160, 128), strict=True):
        write_image(Path(f"{name}.png"), impair_image(image, (Noise(9.0),), rng(name)))
    return [
        "fuse", "ir.png", "vis.png", "-o", "out.png", "--method", "recofuse", "--weights",
        str(weights), "--restore-first",
    ]  # fmt: skip


def rng(name: str) -> np.random.Generator:
    return np.random.default_rng(len(name))


def test_what_is_restored_first_is_what_drfusion_restores(drfuse: Cli, noisy: list[str]) -> None:
    done = drfuse(*noisy, "--noise-std", "9", "--json")
    document = json.loads(done.out)
    assert document["warnings"] == []
    assert document["restore_first"] is True
    assert [one["noise_std"] for one in document["operators"]] == [9, 9]
    call = ["fuse", "ir.png", "vis.png", "-o", "x.png", "--noise-std", "9", "--save-sources", "s"]
    assert document["restored_by"] == json.loads(drfuse(*call, "--json").out)["weights"]
    rest = noisy[noisy.index("-o") + 2 : -1]
    drfuse("fuse", "s/source1.png", "s/source2.png", "-o", "two.png", *rest, "--degrade", "none",
           "--destripe", "none")  # fmt: skip
    assert Path("two.png").read_bytes() == Path("out.png").read_bytes()


def test_noise_is_estimated_for_it(drfuse: Cli, noisy: list[str]) -> None:
    done = drfuse(*noisy)
    assert "source 1 (ir.png): noise std" in done.err
    drfuse(*noisy[:-1], "--overwrite", "-o", "plain.png")
    assert Path("plain.png").read_bytes() != Path("out.png").read_bytes()
    drfuse(*noisy, "--degrade", "none", "-o", "none.png")
    drfuse(*noisy[:-1], "--destripe", "none", "-o", "none2.png")
    assert Path("none.png").read_bytes() == Path("none2.png").read_bytes()


def test_its_sidecar_repeats_it(drfuse: Cli, noisy: list[str]) -> None:
    document = json.loads(drfuse(*noisy, "--json").out)
    command = arguments(document, "again.png")
    assert "--restore-first" in command
    drfuse(*command)
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


def test_a_low_resolution_infrared_is_restored_to_full_size(drfuse: Cli, noisy: list[str]) -> None:
    seen = read_image("ir.png").pixels
    write_image(Path("ir.png"), Image(np.ascontiguousarray(seen[::2, ::2])))
    drfuse(*noisy, "--save-sources", "s")
    for name in ("out.png", "s/source1.png"):
        made = read_image(name)
        assert (made.height, made.width) == (128, 160)


def test_a_folder_of_noisy_and_clean_pairs(drfuse: Cli, noisy: list[str]) -> None:
    clean = render("street-day", 160, 128)
    for name, image in zip(("ir", "vis"), clean, strict=True):
        write_image(Path("in") / name / "noisy.png", read_image(f"{name}.png"))
        write_image(Path("in") / name / "clean.png", image)
    flags = noisy[noisy.index("--method") :]
    drfuse("batch", "in", "-o", "out", *flags)
    for name in ("noisy", "clean"):
        drfuse("fuse", f"in/ir/{name}.png", f"in/vis/{name}.png", "-o", f"{name}.png", *flags)
        assert Path(f"{name}.png").read_bytes() == Path(f"out/{name}.png").read_bytes()
    done = drfuse("batch", "in", "-o", "out", *flags[:-1], "--resume", code=2)
    assert "had another restore_first: true, now false" in done.err


def test_it_is_for_recofuse(drfuse: Cli, noisy: list[str]) -> None:
    done = drfuse("fuse", "ir.png", "vis.png", "-o", "x.png", "--restore-first", code=2)
    assert "--restore-first is for --method recofuse" in done.err


def test_auto_decides_whether_anything_is_restored_first(drfuse: Cli, noisy: list[str]) -> None:
    call = ["fuse", "ir.png", "vis.png", "-o", "auto.png", "--method", "auto", "--json"]
    document = json.loads(drfuse(*call, "--restore-first").out)
    assert document["method"] == "drfusion"
    assert "restore_first" not in document


def test_auto_restores_first(drfuse: Cli, noisy: list[str]) -> None:
    flat = impair_image(read_image("ir.png"), (LowContrast(0.4, 0.3),), rng("flat"))
    write_image(Path("ir.png"), flat)
    call = ["fuse", "ir.png", "vis.png", "-o", "auto.png", "--method", "auto", "--json"]
    document = json.loads(drfuse(*call).out)
    assert (document["method"], document["restore_first"]) == ("recofuse", True)
    assert document["operators"][1]["noise_std"] > 5


def test_a_small_deep_infrared_beside_a_large_visible(
    drfuse: Cli, weights: Path, tmp_path: Path
) -> None:
    write_image(tmp_path / "ir.png", picture(20, 26, bits=16))
    write_image(tmp_path / "vis.png", picture(40, 52, colour=True))
    drfuse(
        "fuse", str(tmp_path / "ir.png"), str(tmp_path / "vis.png"), "-o",
        str(tmp_path / "out.png"), "--method", "recofuse", "--weights", str(weights), "--agc",
        "none", "--json",
    )  # fmt: skip
    fused = read_image(tmp_path / "out.png")
    assert (fused.height, fused.width, fused.bits) == (40, 52, 16)


def test_a_grey_visible_gives_a_grey_image(drfuse: Cli, weights: Path, tmp_path: Path) -> None:
    for name, seed in (("ir", 0), ("vis", 1)):
        write_image(tmp_path / f"{name}.png", picture(32, 40, seed=seed))
    drfuse(
        "fuse", str(tmp_path / "ir.png"), str(tmp_path / "vis.png"), "-o",
        str(tmp_path / "out.png"), "--method", "recofuse", "--weights", str(weights),
    )  # fmt: skip
    assert not read_image(tmp_path / "out.png").colour


def test_every_state_can_be_seen(
    drfuse: Cli, pair: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    drfuse(
        "fuse", *map(str, pair), "-o", str(tmp_path / "out.png"), "--method", "recofuse",
        "--weights", str(weights), "--steps", "2", "--explain", str(tmp_path / "seen"),
    )  # fmt: skip
    seen = {file.name for file in (tmp_path / "seen").iterdir()}
    assert {"weight_map.png", "step2_fused.png", "residual1.png"} <= seen
    last = read_image(tmp_path / "seen" / "step2_weights.png")
    assert np.array_equal(last.pixels, read_image(tmp_path / "seen" / "weight_map.png").pixels)


def test_weights_of_another_method_are_refused(
    drfuse: Cli, pair: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    call = ["fuse", *map(str, pair), "-o", str(tmp_path / "out.png")]
    for extra in (["--weights", str(weights)], ["--method", "recofuse", "--weights", "ivif-small"]):
        done = drfuse(*call, *extra, code=3)
        assert "are for the method" in done.err


def test_weights_that_predict_noise_take_their_own_steps(
    drfuse: Cli, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    arch = replace(TINY, predicts="noise", steps=100)
    published = tiny_weights(tmp_path / "published.safetensors", arch)
    call = ["fuse", *map(str, pair), "-o", str(tmp_path / "out.png"), "--method", "recofuse",
            "--weights", str(published)]  # fmt: skip
    assert "--steps 100" in drfuse(*call, "--steps", "6", code=2).err
    drfuse(*call, "--steps", "100")
    assert (tmp_path / "out.png").is_file()


def test_half_the_bits_are_near_all_of_them(weights: Path) -> None:
    loaded = load_weights(str(weights), "ivif", "recofuse")
    first, second = picture(60, 70), picture(60, 70, colour=True, seed=1)

    def fused(how: Precision) -> np.ndarray:
        options = FuseOptions(method="recofuse", device="cpu", precision=how)
        result = Engine(loaded, options).fuse(first, second, (Degradation(), Degradation()))
        return result.fused.pixels

    assert np.abs(fused("fp32").astype(int) - fused("bf16")).mean() < 2


def test_no_weights_for_other_tasks(drfuse: Cli, pair: tuple[Path, Path], tmp_path: Path) -> None:
    done = drfuse(
        "fuse", *map(str, pair), "-o", str(tmp_path / "out.png"), "--method", "recofuse",
        "--task", "medical", code=3,
    )  # fmt: skip
    assert "no weights of recofuse are bundled for the task 'medical'" in done.err


def test_a_folder_gives_the_bytes_of_single_pairs(
    drfuse: Cli, weights: Path, tmp_path: Path
) -> None:
    for k in range(2):
        for name, colour in (("ir", False), ("vis", True)):
            write_image(tmp_path / "in" / name / f"{k}.png", picture(32, 40, colour=colour, seed=k))
    flags = ["--method", "recofuse", "--weights", str(weights)]
    drfuse("batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *flags)
    drfuse(
        "fuse", str(tmp_path / "in/ir/1.png"), str(tmp_path / "in/vis/1.png"), "-o",
        str(tmp_path / "one.png"), *flags,
    )  # fmt: skip
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "out" / "1.png").read_bytes()
    drfuse("batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *flags, "--resume")


def test_it_is_evaluated_under_its_name(drfuse: Cli, weights: Path) -> None:
    done = drfuse(
        "eval", "--method", "recofuse", "--weights", str(weights), "--limit", "1", "--metrics",
        "recofuse", "--degrade", "composite", "--json",
    )  # fmt: skip
    (method,) = json.loads(done.out)["methods"]
    assert method["name"] == "recofuse"
    assert set(method["mean"]) == {"SD", "MI", "EN", "CC", "SCD", "VIF"}


def test_tiles_blend_into_what_they_were_cut_from() -> None:
    torch.manual_seed(0)
    visible, infrared = torch.rand(2, 3, 70, 90), torch.rand(2, 3, 70, 90)

    def walk(visible: torch.Tensor, infrared: torch.Tensor) -> dict[int, torch.Tensor]:
        return {50: infrared, 0: visible}

    joined = _blended(walk, visible, infrared, 32)
    assert list(joined) == [50, 0]
    assert torch.allclose(joined[0], visible, atol=1e-6)
    assert torch.allclose(joined[50], infrared, atol=1e-6)


def test_every_state_can_be_seen_in_tiles(drfuse: Cli, weights: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "ir.png", picture(90, 110))
    write_image(tmp_path / "vis.png", picture(90, 110, colour=True, seed=1))
    drfuse(
        "fuse", str(tmp_path / "ir.png"), str(tmp_path / "vis.png"), "-o",
        str(tmp_path / "out.png"), "--method", "recofuse", "--weights", str(weights), "--tile",
        "64", "--steps", "2", "--explain", str(tmp_path / "seen"),
    )  # fmt: skip
    first, last = (read_image(tmp_path / "seen" / f"step{k}_fused.png") for k in (1, 2))
    assert (first.height, first.width) == (90, 110)
    assert not np.array_equal(first.pixels, last.pixels)


def test_a_sample_does_not_depend_on_its_batch(weights: Path) -> None:
    model = load_weights(str(weights), "ivif", "recofuse").network()
    visible, infrared = (torch.rand(3, 3, 32, 40) for _ in range(2))

    def made(rows: slice) -> torch.Tensor:
        noise = torch.Generator().manual_seed(0)
        with torch.no_grad():
            fused: torch.Tensor = model(visible[rows], infrared[rows], 2, noise).fused
        return fused

    assert torch.allclose(made(slice(None))[2:], made(slice(2, 3)), atol=1e-5)


def test_tiles_are_near_the_whole(weights: Path) -> None:
    first, second = picture(150, 170), picture(150, 170, colour=True, seed=1)
    loaded = load_weights(str(weights), "ivif", "recofuse")
    degradations = Degradation(), Degradation(blur_sigma=2)

    def fused(tile: int) -> np.ndarray:
        options = FuseOptions(method="recofuse", device="cpu", tile=tile)
        return Engine(loaded, options).fuse(first, second, degradations).fused.pixels

    difference = np.abs(fused(0).astype(int) - fused(64))
    assert difference.max() > 0  # whole-image statistics: near, never equal
    assert difference.mean() < 12


def hazy_pair(folder: Path) -> tuple[Path, Path]:
    """An infrared of few levels, a visible behind a veil."""
    files = folder / "ir" / "a.png", folder / "vis" / "a.png"
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:160, :200]
    scene = 0.5 + 0.5 * np.sin(x / 23) * np.cos(y / 31)
    grain = rng.normal(0, 0.004, (160, 200, 3))
    veiled = 0.35 * scene[..., None] + 0.5 + grain
    write_image(files[0], Image(np.rint(90 + 70 * scene).astype(np.uint8)))
    write_image(files[1], Image(np.rint(255 * veiled.clip(0, 1)).astype(np.uint8)))
    return files


def test_auto_says_what_it_saw(drfuse: Cli, weights: Path, tmp_path: Path) -> None:
    files = hazy_pair(tmp_path / "in")
    call = ["--method", "auto", "--weights", str(weights), "--json"]
    done = drfuse("fuse", *map(str, files), "-o", str(tmp_path / "out.png"), *call)
    document = json.loads(done.out)
    assert document["method"] == "recofuse"
    assert any("source 1" in reason for reason in document["method_reasons"])
    batch = drfuse("batch", str(tmp_path / "in"), "-o", str(tmp_path / "all"), *call)
    assert json.loads((tmp_path / "all" / "manifest.jsonl").read_text())["method"] == "recofuse"
    assert ": recofuse" in batch.err


def test_auto_leaves_a_stated_degradation_to_drfusion(
    drfuse: Cli, small_weights: Path, tmp_path: Path
) -> None:
    files = hazy_pair(tmp_path / "in")
    done = drfuse(
        "fuse", *map(str, files), "-o", str(tmp_path / "out.png"), "--method", "auto", "--json",
        "--degrade", "noise", "--weights", str(small_weights),
    )  # fmt: skip
    document = json.loads(done.out)
    assert document["method"] == "drfusion"
    assert "--degrade noise" in document["method_reasons"][0]
