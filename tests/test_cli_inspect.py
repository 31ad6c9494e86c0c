"""``drfuse inspect``: what it prints of files as people have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_support import Cli, noise, save

from drfuse_cli.config import Degradation
from drfuse_cli.errors import ExitCode
from drfuse_cli.imageio import Image
from drfuse_cli.operators.simulate import degrade_image
from drfuse_cli.scenes import render

FINDINGS = ("noise", "blur", "scale", "zero_border", "jpeg", "stripes")


@pytest.fixture(scope="module")
def scene() -> tuple[Image, Image]:
    return render("crossing", 320, 256)


def told(drfuse: Cli, *paths: Path, code: int = 0) -> list[dict[str, Any]]:
    """The entries of the JSON document; one line of error for every file that has none."""
    document = json.loads(drfuse("inspect", "--json", *paths, code=code).out)
    assert document["schema"] == "drfuse.inspect/1"
    return document["images"]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", [False, True])
def test_what_is_found_and_what_is_made_of_it(
    drfuse: Cli, tmp_path: Path, colour: bool, bits: int
) -> None:
    path = save(tmp_path / "a.png", noise(120, 160, colour=colour, bits=bits))
    (found,) = told(drfuse, path)
    assert (found["width"], found["height"], found["bit_depth"]) == (160, 120, bits)
    assert found["colour"] is colour
    assert found["path"] == str(path)
    assert len(found["sha256"]) == 64
    assert len(found["channels"]) == (3 if colour else 1)
    for finding in FINDINGS:
        assert 0 <= found[finding]["confidence"] <= 1
        assert found[finding]["why"]
    assert found["noise"]["value"] == pytest.approx(8, rel=0.08)
    assert found["assumed"]["noise_std"] == pytest.approx(found["noise"]["value"], abs=0.01)
    assert found["assumed"]["origin"] == {"noise_std": "estimate", "blur_sigma": "default"}


def test_blur(drfuse: Cli, tmp_path: Path, scene: tuple[Image, Image]) -> None:
    blurred = degrade_image(scene[1], Degradation(blur_sigma=2.0), np.random.default_rng(0))
    paths = [save(tmp_path / f"{i}.png", image) for i, image in enumerate((scene[1], blurred))]
    sharp, soft = told(drfuse, *paths)
    assert sharp["assumed"]["blur_sigma"] == 0
    assert soft["assumed"]["blur_sigma"] == pytest.approx(2.0, rel=0.25)
    assert soft["assumed"]["origin"]["blur_sigma"] == "estimate"


def test_what_is_seen_but_left_in(drfuse: Cli, tmp_path: Path, scene: tuple[Image, Image]) -> None:
    offsets = np.random.default_rng(0).normal(0, 4, scene[0].width)
    striped = (scene[0].pixels + offsets).clip(0, 255).round().astype(np.uint8)
    path = save(tmp_path / "striped.png", Image(striped))
    (found,) = told(drfuse, path)
    assert found["assumed"]["seen"] == {"stripes": found["stripes"]["value"]}
    assert "stripes of std" in drfuse("inspect", path).text


def test_for_people(drfuse: Cli, tmp_path: Path) -> None:
    path = save(tmp_path / "[red]a[/].png", noise(120, 160, colour=True))
    done = drfuse("inspect", path)
    assert f"{path} (160x120, 8-bit colour)" in done.text
    for words in ("noise, std in grey levels", "in green", "JPEG quality", "stripes, std"):
        assert words in done.text
    assert "--degrade auto takes it for: noise std" in done.text
    assert done.err == ""


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (12, 30), (8, 8, 3)])
def test_tiny_images(drfuse: Cli, tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    path = save(tmp_path / "a.png", Image(pixels))
    (found,) = told(drfuse, path)
    assert found["assumed"]["noise_std"] == found["assumed"]["blur_sigma"] == 0
    assert "too few pixels to judge" in drfuse("inspect", path).text


def test_one_bad_file_does_not_stop_the_others(drfuse: Cli, tmp_path: Path) -> None:
    good = save(tmp_path / "good.png", noise(80, 80))
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:200])
    first, second, third = told(drfuse, good, cut, good, code=ExitCode.FAILED)
    assert first == third
    assert set(second) == {"path", "error"}
    assert second["path"] == str(cut)


def test_a_bad_file_alone_is_reported_as_by_fuse(drfuse: Cli, tmp_path: Path) -> None:
    missing = tmp_path / "missing.png"
    done = drfuse("inspect", missing, code=ExitCode.USAGE)
    assert "missing.png: no such file" in done.err
    (tmp_path / "empty.png").write_bytes(b"")
    assert "is empty" in drfuse("inspect", tmp_path / "empty.png", code=ExitCode.USAGE).err


def test_no_image_at_all(drfuse: Cli) -> None:
    assert "IMAGE" in drfuse("inspect", code=ExitCode.USAGE).err
