"""`drfuse calibrate`: medians that are true, and nothing where the files do not tell."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_support import Cli, noise, save

from drfuse_cli.calibration import (
    Array,
    Measured,
    Seen,
    blocks_of,
    calibrate,
    common_motion,
    look,
    measured,
    noise_curve,
)
from drfuse_cli.config import Pair
from drfuse_cli.degradations import Overrides
from drfuse_cli.imageio import Image
from drfuse_cli.profiles import read_profiles
from drfuse_cli.registration.finding import Finding
from drfuse_cli.registration.motion import Motion, corners_of, shift_matrix, transform, translation
from drfuse_cli.scenes import render
from drfuse_cli.sources import Assumptions

CANVAS = (48, 64)
NOISE = 6.0, 8.0


# ---- medians ------------------------------------------------------------------------------------


def test_a_median_with_its_spread() -> None:
    found = measured([2.0, 2.2, None, 1.9, 9.0])
    assert (found.value, found.files, found.of, found.why) == (pytest.approx(2.1), 4, 5, "")
    assert found.spread == pytest.approx(0.15 * 1.4826)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([None, None], "no file tells"),
        ([2.0, None, None], "few files tell"),
        ([2.0, 9.0, 5.0, 30.0], "differs from file to file"),
    ],
)
def test_what_is_left_out(values: list[float | None], why: str) -> None:
    found = measured(values)
    assert found.value is None
    assert why in found.why


def test_noise_of_a_thermal_camera_is_that_of_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.linspace(0, 6, 160)
    scene = 8000 + 300 * np.sin(x) * np.cos(x[:128, None])
    counts = (scene + rng.normal(0, 20, scene.shape)).round().astype(np.uint16)
    files = save(tmp_path / "ir.png", Image(counts)), save(tmp_path / "v.png", noise(128, 160))
    found = look(Pair("1", *files), Assumptions("ivif", "auto", Overrides()))
    assert isinstance(found, Seen)
    assert found.noise[0] == pytest.approx(20 / 257, rel=0.1)
    assert found.gains[0] > 30
    assert found.blocks[0] is None
    pairs = [replace(found, noise=(std, None)) for std in (0.05, 0.08, 0.2, 0.3)]
    assert "differs" in calibrate(pairs, "none").sources[0].noise.why


# ---- noise by level -----------------------------------------------------------------------------


def blocks(slope: float, constant: float = 1.5, texture: float = 0, size: int = 320) -> Array:
    """Of a ramp whose noise grows with the level, and perhaps random texture of its own."""
    rng = np.random.default_rng(3)
    level = np.tile(np.linspace(30, 220, size), (size, 1))
    pixels = level + rng.normal(size=level.shape) * (constant + slope * level)
    bumps = rng.lognormal(0, 1, (size // 16, size // 16)).repeat(16, 0).repeat(16, 1)
    pixels += texture * bumps * rng.normal(size=level.shape)
    return blocks_of(Image(pixels.round().clip(0, 255).astype(np.uint8)))


def known(std: float) -> Measured:
    return Measured(std, 0.1, 5, 5, "")


def test_noise_that_grows_with_the_level() -> None:
    found = noise_curve([blocks(0.02), None, blocks(0.02)], known(4.0)).curve
    assert found is not None
    assert [level for level, _ in found] == sorted(level for level, _ in found)
    for level, std in found:
        assert std == pytest.approx(1.5 + 0.02 * level, rel=0.1)


@pytest.mark.parametrize(
    ("seen", "std", "why"),
    [
        ([None], 4.0, "gain control"),
        ([blocks(0, 3)], 3.0, "much the same at all levels"),
        ([blocks(0.02)], 9.0, "correlated"),
        ([blocks(0.02)[:100]], 4.0, "too few blocks"),
        ([blocks(0.02, texture=9)], 4.0, "too much texture"),
        ([blocks(0.02) * [0.05, 1]], 4.0, "few levels"),
    ],
)
def test_where_no_curve_can_be_told(seen: list[Array | None], std: float, why: str) -> None:
    found = noise_curve(seen, known(std))
    assert found.curve is None
    assert why in found.why


def test_noise_that_differs_with_the_level_is_known() -> None:
    pairs = [_with_noise(std) for std in (2.0, 3.0, 6.0, 9.0)]
    source = calibrate(pairs, "none").sources[0]
    assert source.curve.curve is not None
    assert source.noise.value == pytest.approx(4.5)
    assert source.noise.why == "differs with the level"
    without = [replace(pair, blocks=(None, None)) for pair in pairs]
    assert calibrate(without, "none").sources[0].noise.value is None


def _with_noise(std: float) -> Seen:
    curve = blocks(0.02)
    noise = (std, std)
    return Seen((CANVAS, CANVAS), (1, 1), CANVAS, noise, noise, (curve, curve), 0, None)


def test_clipped_blocks_do_not_count() -> None:
    pixels = noise(64, 64).pixels
    whole = len(blocks_of(Image(pixels)))
    pixels[:16] = 255
    assert len(blocks_of(Image(pixels))) == whole - 4


# ---- motion -------------------------------------------------------------------------------------


def seen(motion: Motion | None, *, trusted: bool = True) -> Seen:
    none = (None, None)
    finding = motion and Finding(motion, 9.0, 9.0 if trusted else 0.0, 9.0)
    return Seen((CANVAS, CANVAS), (1, 1), CANVAS, none, none, none, 0, finding)


def shifts(*values: tuple[float, float]) -> list[Seen]:
    return [seen(translation(*value, CANVAS)) for value in values]


def test_a_motion_that_most_pairs_agree_on() -> None:
    pairs = shifts((5, -3.5), (5.2, -3.4), (4.9, -3.6), (20, 9))
    pairs.append(seen(translation(1, 1, CANVAS), trusted=False))
    found = common_motion(pairs, "auto")
    assert found.motion is not None
    assert (found.motion.source, found.motion.size) == (1, (64, 48))
    assert found.motion.numbers == (5, -3.5)  # a whole number where that is as good
    assert (found.files, found.of) == (3, 5)


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        (shifts((5, 5), (5, 5)), "too few pairs"),
        ([*shifts((5, 5)), seen(None), seen(None)], "too few pairs"),
        (shifts((5, 5), (9, 5), (5, 9), (1, 1)), "do not lie alike"),
        (shifts((0.5, 0.2), (0.6, 0), (0.4, 0.1)), "lie on each other"),
        ([seen(Motion("homography", shift_matrix(5, 5), CANVAS))] * 3, "more than a shift"),
    ],
)
def test_where_there_is_no_motion(pairs: list[Seen], why: str) -> None:
    found = common_motion(pairs, "auto")
    assert found.motion is None
    assert why in found.why
    assert common_motion(pairs, "none").why == "not looked for"


def test_a_homography_is_the_median_of_its_corners() -> None:
    matrix = np.array([[1.02, 0.01, 3], [-0.02, 0.98, -2], [1e-4, 0, 1]])
    rng = np.random.default_rng(0)
    pairs = [
        seen(Motion("homography", shift_matrix(*rng.normal(0, 0.2, 2)) @ matrix, CANVAS))
        for _ in range(9)
    ]
    found = common_motion(pairs, "homography").motion
    assert found is not None
    corners = corners_of(CANVAS)
    placed = transform(np.array(found.numbers).reshape(3, 3), corners)
    np.testing.assert_allclose(placed, transform(matrix, corners), atol=0.3)


# ---- the command --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three views of a street: the infrared half as large, moved by 12 and -6."""
    root = tmp_path_factory.mktemp("rig") / "set"
    rng = np.random.default_rng(1)

    def noisy(pixels: np.ndarray, std: float) -> Image:
        noise = rng.normal(0, std, pixels.shape)
        return Image((pixels + noise).round().clip(0, 255).astype(np.uint8))

    infrared, visible = (image.pixels for image in render("street-day", 448, 320))
    for number in range(3):
        top, left = 12, 20 + 40 * number
        still = visible[top : top + 288, left : left + 320]
        moved = infrared[top + 6 : top + 294, left - 12 : left + 308].astype(float)
        half = moved.reshape(144, 2, 160, 2).mean((1, 3))
        save(root / "left" / f"{number}.png", noisy(half, NOISE[0]))
        save(root / "right" / f"{number}.png", noisy(still.astype(float), NOISE[1]))
    return root


@pytest.fixture
def command(rig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    os.symlink(rig, "set")
    return ["calibrate", "set", "--roles", "left,right", "--workers", "1", "--name"]


def test_a_rig_is_measured(drfuse: Cli, command: list[str]) -> None:
    done = drfuse(*command, "my-rig")
    assert "use it with --profile my-rig" in done.err
    assert "source 1 (left): noise" in done.text
    found = read_profiles("drfuse.toml")
    assert found.default is None
    profile = found["my-rig"]
    first, second = profile.sources
    assert profile.roles == ("left", "right")
    assert first.noise_std == pytest.approx(NOISE[0], rel=0.15)
    assert second.noise_std == pytest.approx(NOISE[1], rel=0.15)
    assert (first.sr_scale, second.sr_scale) == (2, 1)
    assert profile.motion is not None
    assert profile.motion.source == 1
    assert profile.motion.numbers == pytest.approx((12, -6), abs=0.5)
    done = drfuse("batch", "set", "-o", "out", "--profile", "my-rig", "--dry-run")
    assert "3 pairs to fuse" in done.err


def test_a_file_keeps_what_it_holds(drfuse: Cli, command: list[str]) -> None:
    Path("rigs.toml").write_text("# mine\n[profiles.a]\nsteps = 2\n")
    words = [*command, "r", "-o", "rigs.toml", "--register", "none", "--limit", "1"]
    document = json.loads(drfuse(*words, "--json").out)
    assert document["schema"] == "drfuse.calibrate/1"
    assert document["pairs"] == 1
    assert document["motion"]["why"] == "not looked for"
    assert document["sources"][0]["noise_std"]["files"] == 1
    first = Path("rigs.toml").read_text()
    assert first.startswith("# mine\n[profiles.a]\nsteps = 2\n")
    done = drfuse(*words, code=2)
    assert "rigs.toml: has a profile r already" in done.err
    assert Path("rigs.toml").read_text() == first
    drfuse(*words, "--overwrite", "--crop", "0,0,4,4,0,0,8,8")
    replaced = read_profiles("rigs.toml")
    assert list(replaced.profiles) == ["a", "r"]
    assert replaced["r"].sources[0].crop.sides == (0, 0, 4, 4)
    assert Path("rigs.toml").read_text().startswith("# mine\n[profiles.a]\nsteps = 2\n")


def test_a_pair_that_cannot_be_read_is_left_out(drfuse: Cli, command: list[str]) -> None:
    save(Path("b/left/1.png"), noise(64, 64))
    save(Path("b/right/1.png"), noise(64, 64, seed=1))
    for name in ("left", "right"):
        Path("b", name, "2.png").write_bytes(b"no image")
    command[1] = "b"
    words = [*command, "r", "--register", "none"]
    assert "2 left out: b/left/2.png: " in drfuse(*words).err
    Path("b/left/1.png").write_bytes(b"no image")
    drfuse(*words, "--overwrite", code=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a b"], "--name is 'a b'"),
        (["none"], "--name is 'none'"),
        (["r", "-o", "rig.json"], "rig.json: does not end in .toml"),
        (["r", "--roles", "left"], "--roles is 'left': two of them are needed"),
        (["r", "--roles", "l,L"], "both sources have the same role"),
        (["r", "--roles", "up,down"], "no pairs of up and down found"),
    ],
)
def test_mistakes(drfuse: Cli, command: list[str], words: list[str], message: str) -> None:
    assert message in drfuse(*command, *words, code=2).err
    assert sorted(os.listdir()) == ["set"]
