"""`drfuse degrade`: role folders, the published pixels, and refusals before the work."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from cli_support import Cli, noise, save

from drfuse_cli.imageio import Image, read_image, write_bytes


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(
    *roles: str, names: tuple[str, ...] = ("x",), size: tuple[int, int] = (22, 30)
) -> dict[str, Image]:
    """Clean pairs in two folders under ``clean``; source 2 has colour."""
    images = {}
    for i, role in enumerate(roles):
        for name in names:
            images[role] = noise(*size, colour=bool(i), seed=i)
            save(Path("clean") / role / f"{name}.png", images[role])
    return images


def published(image: Image, sigma: float, std: float, scale: int, key: str) -> np.ndarray:
    """The written rule: blur, noise before pooling, pooling, one rounding at the end."""
    height, width = (n // 4 * 4 for n in image.pixels.shape[:2])
    x = image.pixels[:height, :width].astype(np.float64).reshape(height, width, -1)
    if sigma:
        k = np.exp(-(np.arange(-8.0, 9.0) ** 2) / (2 * sigma**2))
        for axis in (0, 1):
            pad = [(8, 8) if a == axis else (0, 0) for a in range(3)]
            p, n = np.pad(x, pad, mode="symmetric"), x.shape[axis]
            x = sum(w * np.take(p, np.arange(j, j + n), axis) for j, w in enumerate(k / k.sum()))
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")
    x = x + std * np.random.default_rng(seed).standard_normal(x.shape)
    h, w, c = x.shape
    x = x.reshape(h // scale, scale, w // scale, scale, c).mean((1, 3))
    out = np.floor(np.clip(x, 0, 255) + 0.5).astype(np.uint8)
    return out if image.colour else out[..., 0]


@pytest.mark.parametrize("roles", [("ir", "vis"), ("Thermal", "RGB"), ("infrared", "vi")])
def test_the_published_pixels(drfuse: Cli, roles: tuple[str, str]) -> None:
    clean = make(*roles)
    drfuse("degrade", "clean", "-o", "out", "--degrade", "composite", "--clean-out", "cut")
    first, second = (clean[role] for role in roles)
    expected = {
        "ir": published(first, 2, 8.06, 4, "2026:x:ir"),
        "vis": published(second, 2, 8.06, 1, "2026:x:vis"),
    }
    for role, pixels in expected.items():
        np.testing.assert_array_equal(read_image(f"out/{role}/x.png").pixels, pixels)
    assert expected["ir"].shape == (5, 7)
    np.testing.assert_array_equal(read_image("cut/vis/x.png").pixels, second.pixels[:20, :28])


@pytest.mark.parametrize(
    ("roles", "task"),
    [(("mri", "pet"), "medical"), (("CT", "mri"), "medical"), (("mri", "SPECT"), "medical"),
     (("near", "far"), "multifocus")],
)  # fmt: skip
def test_medical_noise_is_keyed_by_modality(drfuse: Cli, roles: tuple[str, str], task: str) -> None:
    clean = make(*roles, size=(20, 28))
    drfuse("degrade", "clean", "-o", "out", "--task", task, "--degrade", "noise")
    for role in roles:
        key = f"2026:x:{role.lower()}"
        pixels = published(clean[role], 0, 13.97, 1, key)
        np.testing.assert_array_equal(read_image(f"out/{role.lower()}/x.png").pixels, pixels)


def test_seed_name_and_preset_decide_the_noise(drfuse: Cli) -> None:
    make("ir", "vis", names=("x", "y"))
    drfuse("degrade", "clean", "-o", "a", "--degrade", "noise")
    drfuse("degrade", "clean", "-o", "b", "--degrade", "noise")
    drfuse("degrade", "clean", "-o", "c", "--degrade", "noise", "--seed", "1")
    a, b, c, y = (Path(p).read_bytes() for p in ("a/ir/x.png", "b/ir/x.png", "c/ir/x.png",
                                                 "a/ir/y.png"))  # fmt: skip
    assert a == b
    assert len({a, c, y}) == 3


def test_one_pair_by_name(drfuse: Cli) -> None:
    save(Path("day_ir.png"), noise(8, 8))
    save(Path("day_vis.png"), noise(8, 8, colour=True))
    drfuse("degrade", "day_ir.png", "day_vis.png", "-o", "out", "--degrade", "noise")
    assert sorted(map(str, Path("out").rglob("*.png"))) == ["out/ir/day.png", "out/vis/day.png"]
    os.rename("day_ir.png", "a.png")
    drfuse("degrade", "a.png", "day_vis.png", "-o", "other", "--degrade", "noise")
    assert Path("other/ir/a_day.png").exists()


def test_suffix_pairs_go_into_role_folders(drfuse: Cli) -> None:
    save(Path("set/x-CT.png"), noise(8, 8))
    save(Path("set/x-mri.png"), noise(8, 8))
    drfuse("degrade", "set", "-o", "out", "--task", "medical", "--degrade", "blur")
    assert sorted(map(str, Path("out").rglob("*.png"))) == ["out/ct/x.png", "out/mri/x.png"]


def test_flags_alone(drfuse: Cli) -> None:
    make("ir", "vis", size=(24, 36))
    done = drfuse("degrade", "clean", "-o", "out", "--sr-scale", "3,2", "--json")
    assert (read_image("out/ir/x.png").height, read_image("out/vis/x.png").height) == (8, 12)
    document = json.loads(done.out)
    assert document["schema"] == "drfuse.degrade/1"
    assert [operator["sr_scale"] for operator in document["operators"]] == [3, 2]
    assert document["pairs"] == [{"name": "x", "files": ["out/ir/x.png", "out/vis/x.png"]}]


def test_crops_to_what_both_scales_divide(drfuse: Cli) -> None:
    make("ir", "vis", size=(29, 35))
    drfuse("degrade", "clean", "-o", "out", "--sr-scale", "3,2", "--clean-out", "cut")
    height, width = (n // math.lcm(3, 2) * 6 for n in (29, 35))
    cut = read_image("cut/ir/x.png")
    assert (cut.height, cut.width) == (height, width)


def test_sixteen_bits_stay(drfuse: Cli) -> None:
    save(Path("a.png"), noise(64, 64, bits=16))
    save(Path("b.png"), noise(64, 64))
    drfuse("degrade", "a.png", "b.png", "-o", "out", "--noise-std", "4")
    degraded = read_image("out/ir/a_b.png")
    assert degraded.bits == 16
    added = degraded.pixels.astype(float) - read_image("a.png").pixels
    assert added.std() == pytest.approx(4 * 257, rel=0.05)


# ---- refusals -------------------------------------------------------------------------------


def test_nothing_to_do(drfuse: Cli) -> None:
    make("ir", "vis")
    assert "--degrade" in drfuse("degrade", "clean", "-o", "out", code=2).err
    assert not Path("out").exists()


def test_existing_outputs(drfuse: Cli) -> None:
    make("ir", "vis")
    write_bytes("out/vis/x.png", b"mine")
    arguments = ("degrade", "clean", "-o", "out", "--degrade", "noise")
    assert "out/vis/x.png" in drfuse(*arguments, code=2).err
    assert sorted(os.listdir("out")) == ["vis"]
    drfuse(*arguments, "--overwrite")
    assert read_image("out/vis/x.png").colour


def test_the_clean_pairs_are_never_overwritten(drfuse: Cli) -> None:
    make("ir", "vis")
    before = Path("clean/ir/x.png").read_bytes()
    for target in ("-o", "--clean-out"):
        flags = {"-o": "out", "--clean-out": "cut", target: "clean"}
        words = [word for pair in flags.items() for word in pair]
        done = drfuse("degrade", "clean", *words, "--degrade", "noise", "--overwrite", code=2)
        assert "also an input" in done.err
    assert Path("clean/ir/x.png").read_bytes() == before


def test_pairs_that_differ_in_size(drfuse: Cli) -> None:
    make("ir", "vis")
    save(Path("clean/vis/x.png"), noise(22, 31))
    done = drfuse("degrade", "clean", "-o", "out", "--degrade", "noise", code=2)
    assert "clean/ir/x.png: this pair differs in size: 30x22 and 31x22" in done.err


def test_too_small_to_pool(drfuse: Cli) -> None:
    make("ir", "vis", size=(3, 9))
    done = drfuse("degrade", "clean", "-o", "out", "--degrade", "composite", code=2)
    assert "clean/ir/x.png: 9x3 pixels are too few" in done.err


def test_orphans(drfuse: Cli) -> None:
    make("ir", "vis")
    save(Path("clean/ir/alone.png"), noise(8, 8))
    arguments = ("degrade", "clean", "-o", "out", "--degrade", "noise")
    assert "alone" in drfuse(*arguments, code=2).err
    drfuse(*arguments, "--allow-unpaired")
    assert os.listdir("out/ir") == ["x.png"]


def test_three_paths(drfuse: Cli) -> None:
    assert (
        "3 paths" in drfuse("degrade", "a", "b", "c", "-o", "o", "--degrade", "noise", code=2).err
    )
