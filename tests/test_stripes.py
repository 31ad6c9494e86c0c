"""Stripes of infrared sources: what is found, what is taken out, and what stays."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_support import lines
from cli_support import Cli, FakeEngine, save, use_fake_engine
from video_support import make_video

from drfuse_cli.config import Destripe, Pair
from drfuse_cli.degradations import Overrides
from drfuse_cli.degradations.stripes import Stripes as Found
from drfuse_cli.degradations.stripes import find_common_stripes, find_stripes
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.impairments import Impairment, Noise, Stripes, impair_image
from drfuse_cli.report.sidecar import arguments
from drfuse_cli.scenes import render
from drfuse_cli.sequence.frames import settled
from drfuse_cli.sources import Assumptions, read_sources, take_pair

SCENES = ("street-day", "street-night", "drone", "crossing")
WHITE = Stripes(4.0)


@cache
def scene(name: str, seed: int = 0) -> tuple[Image, Image]:
    return render(name, 320, 240, seed)


def striped(image: Image, *impairments: Impairment, seed: int = 1) -> Image:
    return impair_image(image, impairments, np.random.default_rng(seed))


def found_in(image: Image, mode: Destripe = "auto") -> Found:
    found = find_stripes(image, mode)
    assert found is not None
    return found


def turned(image: Image) -> Image:
    return replace(image, pixels=np.ascontiguousarray(image.pixels.swapaxes(0, 1)))


def left(image: Image, clean: Image) -> float:
    """The spread of what the mean of every column is off by, in grey levels."""
    off = (image.pixels.astype(float) - clean.pixels).mean(0)
    return float(np.std(off)) * 255 / image.max_value


# ---- what is found --------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_has_none(name: str) -> None:
    for image in (*scene(name), striped(scene(name)[0], Noise(8.0))):
        assert find_stripes(image, "auto") is None


def test_rows_are_looked_at_where_they_are_asked_for() -> None:
    image = turned(striped(turned(scene("drone")[0]), WHITE))
    assert find_stripes(image, "auto") is None
    assert find_stripes(image, "none") is None
    found = found_in(image, "rows")
    assert found.columns is None
    clean = turned(scene("drone")[0])
    assert left(turned(found.taken_out(image)), clean) < 0.7 * left(turned(image), clean)
    assert found.describe().startswith("stripes of rows (std ")


def test_both() -> None:
    clean = scene("drone")[0]
    image = turned(striped(turned(striped(clean, WHITE)), WHITE, seed=2))
    rid = found_in(image, "both").taken_out(image)
    for one, other, wanted in ((rid, image, clean), tuple(map(turned, (rid, image, clean)))):
        assert left(one, wanted) < 0.7 * left(other, wanted)


def test_what_is_too_small_is_left_alone_or_refused() -> None:
    small = Image(np.zeros((40, 90), np.uint8), path="ir.png")
    assert find_stripes(small, "auto") is None
    with pytest.raises(DrfuseError, match="90x40 pixels are too few") as error:
        find_stripes(small, "columns")
    assert error.value.path == "ir.png"


# ---- what is taken out ----------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize(
    ("impairments", "share"),
    [
        ((WHITE,), 0.55),
        ((WHITE, Noise(8.0)), 0.7),
        ((Stripes(4.0, band=1.5),), 0.7),
        ((Stripes(8.0, share=0.25),), 0.75),
    ],
    ids=["white", "noisy", "bands", "sparse"],
)
def test_most_of_them_are_taken_out(
    name: str, impairments: tuple[Impairment, ...], share: float
) -> None:
    clean = scene(name)[0]
    image = striped(clean, *impairments)
    rid = found_in(image, "columns").taken_out(image)
    assert left(rid, clean) < share * left(image, clean)
    assert rid.pixels.dtype == image.pixels.dtype


def test_a_wall_from_top_to_bottom_stays() -> None:
    plane = np.random.default_rng(0).normal(100, 2, (128, 160))
    plane[:, 80:] += 60
    offsets = np.random.default_rng(1).normal(0, 2, 160)
    image = Image(np.rint(plane + offsets).clip(0, 255).astype(np.uint8))
    rid = found_in(image).taken_out(image).pixels.astype(float)
    assert np.abs(rid - plane).mean(0).max() < 10
    assert (rid[:, 90:].mean() - rid[:, :70].mean()) > 55


@pytest.mark.parametrize("slope", [0, 40, 120])
def test_a_pole_from_top_to_bottom_stays(slope: float) -> None:
    """It departs from what is around it by more than a stripe, or by more here than there."""
    shade = np.linspace(100 - slope / 2, 100 + slope / 2, 240)[:, None] + np.zeros((240, 320))
    shade += np.random.default_rng(0).normal(0, 3, shade.shape)
    shade[:, 150:154] = 180
    offsets = np.random.default_rng(1).normal(0, 2, 320)
    image = Image(np.rint(shade + offsets).clip(0, 255).astype(np.uint8))
    rid = found_in(image).taken_out(image).pixels.astype(float)
    assert abs(rid[:, 150:154].mean() - 180) < 10


def test_black_and_white_stay() -> None:
    pixels = scene("drone")[0].pixels.copy()
    pixels[:30], pixels[30:60] = 0, 255
    image = striped(Image(pixels), WHITE)
    rid = found_in(image).taken_out(image)
    for level in (0, 255):
        assert (rid.pixels[image.pixels == level] == level).all()


def test_sixteen_bits_and_three_channels() -> None:
    clean = scene("drone")[0]
    image = striped(clean, WHITE)
    plain = found_in(image).taken_out(image).pixels
    deep = replace(image, pixels=image.pixels.astype(np.uint16) * 257)
    grey = replace(image, pixels=np.repeat(image.pixels[..., None], 3, axis=2))
    rid = found_in(deep).taken_out(deep).pixels
    assert np.abs(rid / 257 - plain).max() <= 0.5 + 1e-3
    assert np.abs(found_in(grey).taken_out(grey).pixels[..., 1].astype(int) - plain).max() <= 1


# ---- sequences ------------------------------------------------------------------------------


def frames(count: int) -> list[Image]:
    """Other scenes behind the same stripes."""
    names = [SCENES[i % len(SCENES)] for i in range(count)]
    return [striped(scene(name, i // len(SCENES))[0], WHITE) for i, name in enumerate(names)]


def test_a_sequence_knows_its_stripes_better() -> None:
    seen = frames(4)
    common = find_common_stripes(seen, "auto")
    assert common is not None
    alone = [left(found_in(image).taken_out(image), scene(n)[0])
             for n, image in zip(SCENES, seen, strict=True)]  # fmt: skip
    together = [left(common.taken_out(image), scene(n)[0])
                for n, image in zip(SCENES, seen, strict=True)]  # fmt: skip
    assert np.mean(together) < np.mean(alone)


def test_a_minority_of_frames_is_not_believed() -> None:
    clean = scene("drone")[0]
    assert find_common_stripes([frames(1)[0], clean, clean], "auto") is None
    assert find_common_stripes([*frames(2), clean], "auto") is not None
    assert find_common_stripes([clean] * 3, "none") is None
    assert find_common_stripes([], "auto") is None


def test_frames_of_other_sizes_have_no_common_stripes() -> None:
    first = frames(1)[0]
    other = replace(first, pixels=first.pixels[:, :300])
    with pytest.raises(DrfuseError, match="differ in size"):
        find_common_stripes([first, other], "auto")
    with pytest.raises(DrfuseError, match="differ in size"):
        found_in(first).taken_out(other)


def test_frames_in_a_folder_share_them(tmp_path: Path) -> None:
    pairs = []
    for i, image in enumerate(frames(3)):
        paths = tmp_path / f"{i}_ir.png", tmp_path / f"{i}_vis.png"
        save(paths[0], image)
        save(paths[1], scene(SCENES[i])[1])
        pairs.append(Pair(str(i), *paths))
    told = settled(Assumptions("ivif", "auto", Overrides(), destripe="auto"), pairs)
    assert told.stripes is not None
    sources = read_sources((pairs[0].source1, pairs[0].source2), told)
    assert sources.intake.stripes is told.stripes
    assert left(sources.images[0], scene(SCENES[0])[0]) < 2


# ---- as it is typed -------------------------------------------------------------------------

FUSE = ("fuse", "ir.png", "vis.png", "-o", "out.png")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    return use_fake_engine(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "ir.png", striped(scene("drone")[0], WHITE))
    save(tmp_path / "vis.png", scene("drone")[1])
    return tmp_path


def sidecar() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path("out.png.json").read_bytes())
    return document


@pytest.mark.parametrize(
    ("flags", "mode", "columns", "rows"),
    [
        ((), "auto", True, False),
        (("--noise-std", "2"), "auto", True, False),
        (("--destripe", "none"), "none", False, False),
        (("--degrade", "none"), "none", False, False),
        (("--degrade", "noise"), "none", False, False),
        (("--degrade", "noise", "--destripe", "columns"), "columns", True, False),
        (("--destripe", "both"), "both", True, True),
        (("--task", "multifocus"), "none", False, False),
    ],
)
def test_what_is_taken_out_is_told_and_recorded(
    drfuse: Cli, engine: type[FakeEngine], folder: Path, flags: tuple[str, ...], mode: str,
    columns: bool, rows: bool,
) -> None:  # fmt: skip
    done = drfuse(*FUSE, *flags)
    assert ("source 1: stripes of columns (std 3." in done.err) == columns
    found = sidecar()["destripe"]
    assert found["mode"] == mode
    assert (found["columns"] is not None, found["rows"] is not None) == (columns, rows)
    assert not columns or found["columns"] == pytest.approx(3.6, rel=0.15)


@pytest.mark.parametrize("flags", [(), ("--destripe", "rows"), ("--degrade", "noise")])
def test_the_sidecar_repeats_the_run(
    drfuse: Cli, engine: type[FakeEngine], folder: Path, flags: tuple[str, ...]
) -> None:
    drfuse(*FUSE, *flags)
    drfuse(*arguments(sidecar(), "again.png"))
    (_, first), (_, again) = engine.calls
    assert first == again
    document = json.loads(Path("again.png.json").read_bytes())
    assert document["destripe"]["columns"] == sidecar()["destripe"]["columns"]


def test_contrast_is_evened_out_after_it(folder: Path) -> None:
    images = read_image("ir.png"), read_image("vis.png")
    told = Assumptions("ivif", "none", Overrides(), agc="clahe")
    plain = take_pair(images, told)[0][0]
    rid = take_pair(images, replace(told, destripe="auto"))[0][0]
    clean = take_pair((scene("drone")[0], images[1]), told)[0][0]
    assert left(rid, clean) < 0.5 * left(plain, clean)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ((*FUSE, "--destripe", "lines"), "Invalid value for '--destripe'"),
        ((*FUSE, "--task", "medical", "--destripe", "rows"), "--destripe rows is for infrared"),
        (("batch", ".", "-o", "o", "--task", "multifocus", "--destripe", "both"), "for infrared"),
        (("fuse", "small.png", "small.png", "-o", "x.png", "--destripe", "both"), "are too few"),
    ],
)  # fmt: skip
def test_flags_that_cannot_be_followed(
    drfuse: Cli, engine: type[FakeEngine], folder: Path, command: tuple[str, ...], message: str
) -> None:
    save(folder / "small.png", Image(np.zeros((40, 40), np.uint8)))
    assert message in drfuse(*command, code=2).err
    assert engine.calls == []


def test_inspect_tells_of_it(drfuse: Cli, folder: Path) -> None:
    assert "as an infrared source, stripes of columns (std 3." in drfuse("inspect", "ir.png").err
    assert "infrared" not in drfuse("inspect", "vis.png").err


def test_a_profile_may_say_it(drfuse: Cli, engine: type[FakeEngine], folder: Path) -> None:
    Path("drfuse.toml").write_text('[profiles.rig]\ndestripe = "none"\n')
    drfuse(*FUSE, "--profile", "rig")
    assert sidecar()["destripe"]["columns"] is None
    drfuse(*FUSE, "--profile", "rig", "--destripe", "auto", "--overwrite")
    assert sidecar()["destripe"]["columns"] is not None


def test_batch_records_and_compares_it(drfuse: Cli, folder: Path, small_weights: Path) -> None:
    for name in ("1", "2"):
        save(folder / "set" / "ir" / f"{name}.png", read_image("ir.png"))
        save(folder / "set" / "vis" / f"{name}.png", read_image("vis.png"))
    batch = ("batch", "set", "-o", "out", "--weights", str(small_weights), "--workers", "1")
    drfuse(*batch)
    assert all(line["destripe"]["columns"] for line in lines(Path("out")))
    done = drfuse(*batch, "--destripe", "none", "--resume", code=2)
    assert 'had another destripe: "auto", now "none"' in done.err
    drfuse(*batch, "--resume")
    done = drfuse(*batch, "--sequence", "--overwrite")
    assert "source 1 of every frame: stripes of columns (std 3." in done.err
    assert lines(Path("out"))[0]["assumed"]["stripes"]["columns"] == pytest.approx(3.6, rel=0.15)


def test_videos(drfuse: Cli, folder: Path, small_weights: Path) -> None:
    infrared, visible = read_image("ir.png"), read_image("vis.png")
    make_video(folder / "ir.mkv", [infrared.pixels] * 3)
    make_video(folder / "vis.mkv", [visible.pixels] * 3)
    done = drfuse("batch", "ir.mkv", "vis.mkv", "-o", "out.mkv", "--weights", str(small_weights),
                  "--json")  # fmt: skip
    assert "source 1: stripes of columns (std 3." in done.err
    document = json.loads(done.out)
    assert document["destripe"]["columns"] == pytest.approx(3.6, rel=0.15)
    command = arguments(document, "again.mkv")
    assert command[command.index("--destripe") + 1] == "columns"
