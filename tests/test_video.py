"""Two videos to one: what a look finds, which go together, and what `drfuse batch` makes."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_support import lines, make_pairs, tree
from cli_support import Cli

from drfuse_cli.cli.app import run
from drfuse_cli.degradations import Overrides
from drfuse_cli.engine import Engine
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, read_image, write_image
from drfuse_cli.report.sidecar import arguments
from drfuse_cli.sequence.look import Look, look
from drfuse_cli.sequence.match import match
from drfuse_cli.sequence.steady import MOST
from drfuse_cli.sources import Assumptions
from drfuse_cli.videoio import Frame

pytest.importorskip("av", reason="needs pip install 'drfuse[video]'")

from video_support import make_pair, make_video, moving, read_video

NOISE = Assumptions("ivif", "noise", Overrides())


# ---- looking ------------------------------------------------------------------------------------


def test_a_look_counts_and_samples(tmp_path: Path) -> None:
    seen = []
    found = look(make_video(tmp_path / "a.mkv", list(moving(70, (16, 24)))), lambda: seen.append(1))
    assert found.frames == len(seen) == 70
    assert sorted(found.sample) == list(range(0, 70, 8))
    assert MOST // 2 <= len(found.sample) <= MOST
    assert (found.sample[64].pixels == list(moving(70, (16, 24)))[64]).all()
    assert (found.rate, found.regular, found.warnings) == (25, True, ())


def test_grey_in_a_colour_format_is_grey(tmp_path: Path) -> None:
    thermal = make_video(
        tmp_path / "a.mp4", list(moving(5)), codec="libx264", pixels="yuv420p", tags=(1, 1)
    )
    found = look(thermal)
    assert found.video.chroma
    assert not found.colour
    assert not found.sample[0].colour
    assert look(make_video(tmp_path / "b.mkv", list(moving(3, colour=True)))).colour


def test_exact_rates_out_of_coarse_clocks(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    found = look(make_video(tmp_path / "a.mkv", list(moving(40, (16, 24))), rate=rate))
    assert found.video.tick == Fraction(1, 1000)
    assert found.ticks[:4] == (0, 33, 67, 100)
    assert found.timing == (rate, 1 / rate, tuple(range(40)))


def test_frames_at_odd_times_keep_them(tmp_path: Path) -> None:
    ticks = (0, 40, 90, 200, 210)
    path = make_video(
        tmp_path / "a.mkv", list(moving(5, (16, 24))), ticks=ticks, tick=Fraction(1, 1000)
    )
    found = look(path)
    assert not found.regular
    assert found.timing[1:] == (Fraction(1, 1000), ticks)


def test_doubts(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", list(moving(50)), sound=True)
    assert look(path).warnings == (f"{path}: its sound is left out",)
    quiet = make_video(tmp_path / "b.mkv", list(moving(50)))
    data = quiet.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    (doubt,) = look(tmp_path / "cut.mkv").warnings
    assert "its header says 2.00 s" in doubt
    ticks = [*range(0, 400, 40), *range(2000, 2400, 40)]
    tick = Fraction(1, 1000)
    (doubt,) = look(
        make_video(tmp_path / "gap.mkv", list(moving(20)), ticks=ticks, tick=tick)
    ).warnings
    assert doubt.endswith("no frames for 1.64 s at one place")


def test_damage_is_found_before_the_work(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", list(moving(50)))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 9000] = bytes(9000)
    path.write_bytes(data)
    with pytest.raises(DrfuseError, match="cannot be decoded at frame 2"):
        look(path)


# ---- what goes together -------------------------------------------------------------------------


def looked(path: Path, count: int, **given: Any) -> Look:
    return look(make_video(path, list(moving(count, (16, 24))), **given))


def test_rates_must_agree(tmp_path: Path) -> None:
    one, two = looked(tmp_path / "a.mkv", 5), looked(tmp_path / "b.mkv", 5, rate=Fraction(30))
    with pytest.raises(DrfuseError, match=r"25 frames a second, but .*b\.mkv has 30") as caught:
        match((one, two), NOISE)
    assert "-r 25" in str(caught.value)


def test_lengths_must_agree(tmp_path: Path) -> None:
    one, two = looked(tmp_path / "a.mkv", 40), looked(tmp_path / "b.mkv", 33)
    with pytest.raises(DrfuseError, match=r"40 frames, but .*b\.mkv has 33"):
        match((one, two), NOISE)
    found = match((one, two), NOISE, allow_unpaired=True)
    assert found.frames == 33
    assert "a.mkv: its last 7 frames are left out" in found.warnings[0]


def test_a_file_that_is_cut_off_is_told_of(tmp_path: Path) -> None:
    one = looked(tmp_path / "a.mkv", 50)
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    with pytest.raises(DrfuseError, match=r"; .*cut\.mkv: it ends after .* says 2\.00 s"):
        match((one, look(tmp_path / "cut.mkv")), NOISE)


def test_sizes_must_agree(tmp_path: Path) -> None:
    one = looked(tmp_path / "a.mkv", 3)
    two = look(make_video(tmp_path / "b.mkv", list(moving(3, (40, 50)))))
    with pytest.raises(DrfuseError, match="the sources are 24x16 and 50x40"):
        match((one, two), NOISE)
    half = look(make_video(tmp_path / "c.mkv", list(moving(3, (32, 48)))))
    found = match((one, half), NOISE)
    assert (found.degradations[0].sr_scale, found.size) == (2, (32, 48))
    assert found.shown is half


def test_frames_out_of_step_are_told(tmp_path: Path) -> None:
    tick = Fraction(1, 1000)
    one = looked(tmp_path / "a.mkv", 4, ticks=(0, 40, 80, 120), tick=tick)
    two = looked(tmp_path / "b.mkv", 4, ticks=(0, 40, 80, 150), tick=tick)
    assert match((one, two), NOISE).warnings == (
        "frames are paired by their order, and are up to 0.03 s apart",
    )


# ---- the command --------------------------------------------------------------------------------


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_weights: Path) -> list[str]:
    """The command, beside two videos."""
    monkeypatch.chdir(tmp_path)
    make_pair(Path())
    return [
        "batch", "ir.mkv", "vis.mkv", "-o", "out.mkv", "--degrade", "noise", "--weights",
        str(small_weights), "--device", "cpu", "--workers", "2",
    ]  # fmt: skip


def test_two_videos_become_one(drfuse: Cli, batch: list[str]) -> None:
    batch[4] = "made/out.mp4"
    done = drfuse(*batch)
    assert done.text == "made/out.mp4\n"
    assert "source 2 (vis.mkv): 48x36, 6 frames, 25 a second; noise std 13.97 (preset)" in done.err
    assert "6 frames in " in done.err
    found = look("made/out.mp4")
    assert (found.frames, found.rate, found.video.pixel_format) == (6, 25, "yuv420p")
    assert sorted(os.listdir("made")) == ["out.mp4", "out.mp4.json"]
    document = json.loads(Path("made/out.mp4.json").read_bytes())
    assert document["schema"] == "drfuse.video/1"
    assert document["inputs"][0]["frames"] == 6
    assert document["inputs"][0]["sha256"] != document["inputs"][1]["sha256"]
    assert document["output"] == {
        "path": "made/out.mp4", "width": 48, "height": 36, "bit_depth": 8, "colour": True,
        "frames": 6, "frame_rate": "25", "codec": "h264", "pixel_format": "yuv420p",
    }  # fmt: skip
    assert document["residuals"][0]["expected"] == pytest.approx(13.97)
    assert document["sampled_frames"] == 6


def test_frames_are_those_of_fuse(drfuse: Cli, batch: list[str]) -> None:
    drfuse(*batch, "--codec", "ffv1", "--save-sources", "s")
    sources = (moving(6), moving(6, colour=True))
    for number, (ir, vis) in enumerate(zip(*sources, strict=True)):
        write_image("ir.png", Image(ir))
        write_image("vis.png", Image(vis))
        drfuse(
            "fuse", "ir.png", "vis.png", "-o", "one.png", "--save-sources", ".", "--overwrite",
            *batch[5:-2],
        )  # fmt: skip
        for video, image in (("out.mkv", "one.png"), ("s/source2.mkv", "source2.png")):
            assert (read_video(Path(video))[number] == read_image(image).pixels).all()
        restored = read_video(Path("s/source1.mkv"), "gray")[number]
        assert (restored == read_image("source1.png").pixels).all()


def test_a_sidecar_repeats_the_run(drfuse: Cli, batch: list[str]) -> None:
    batch[4], batch[6] = "out.mp4", "auto"
    document = json.loads(drfuse(*batch, "--json").out)
    assert json.loads(Path("out.mp4.json").read_bytes()) == document
    assert run(arguments(document, "again.mp4")) == 0
    assert Path("again.mp4").read_bytes() == Path("out.mp4").read_bytes()


def test_sixteen_bits(drfuse: Cli, batch: list[str]) -> None:
    deep = [(frame.astype(np.uint16) + 20) * 200 for frame in moving(3)]
    make_video(Path("ir.mkv"), deep)
    make_video(Path("vis.mkv"), list(moving(3, colour=True)))
    drfuse(*batch)
    found = look("out.mkv")
    assert (found.video.codec, found.video.pixel_format) == ("ffv1", "gbrp16le")
    batch[4] = "out.mp4"
    done = drfuse(*batch, code=2)
    assert "out.mp4: H.264 cannot hold 16 bits per channel" in done.err
    assert not Path("out.mp4").exists()


def test_nothing_is_touched_by_a_dry_run(drfuse: Cli, batch: list[str]) -> None:
    before = tree(Path())
    done = drfuse(*batch, "--dry-run")
    assert done.text == "ir.mkv + vis.mkv -> out.mkv\n"
    assert "6 frames of 48x36 to fuse, into h264 yuv420p; nothing was written" in done.err
    plan = json.loads(drfuse(*batch, "--dry-run", "--json").out)
    assert (plan["schema"], plan["frames"]) == ("drfuse.video.plan/1", 6)
    assert tree(Path()) == before


def test_existing_outputs(drfuse: Cli, batch: list[str]) -> None:
    for taken in ("out.mkv", "out.mkv.json", "s/source1.mkv"):
        Path("s").mkdir(exist_ok=True)
        Path(taken).write_bytes(b"mine")
        done = drfuse(*batch, "--save-sources", "s", code=2)
        assert f"{taken}: already exists" in done.err
        assert Path(taken).read_bytes() == b"mine"
        Path(taken).unlink()
    batch[4] = "vis.mkv"
    assert "also an input" in drfuse(*batch, "--overwrite", code=2).err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--resume",), "--resume does not go with videos"),
        (("--shard", "1/2"), "--shard does not go with videos"),
        (("--engine", "ray"), "--engine ray does not go with videos"),
        (("--explain", "e"), "--explain does not go with videos"),
        (("--pairs", "x.csv"), "--pairs does not go with videos"),
        (("-o", "out.avi"), "'.avi' is no video format that is written"),
        (("-o", "folder"), "has no suffix"),
        (("-o", "out.mp4", "--codec", "ffv1"), ".mp4 cannot hold FFV1"),
    ],
    ids=" ".join,
)
def test_wrong_flags(drfuse: Cli, batch: list[str], flags: tuple[str, ...], said: str) -> None:
    before = tree(Path())
    assert said in drfuse(*batch, *flags, code=2).err
    assert tree(Path()) == before


def test_wrong_names_are_told_before_the_work(
    drfuse: Cli, batch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drfuse_cli.sequence.look.open_video", None)
    assert "'.avi' is no video format" in drfuse(*batch, "-o", "out.avi", code=2).err


def test_folders_have_no_codec(drfuse: Cli, batch: list[str]) -> None:
    done = drfuse("batch", "set", *batch[3:], "--codec", "h264", code=2)
    assert "--codec h264 is for videos" in done.err


def test_wrong_sources(drfuse: Cli, batch: list[str]) -> None:
    assert "ir.mkv: this is one video" in drfuse("batch", "ir.mkv", *batch[3:], code=2).err
    Path("folder").mkdir()
    done = drfuse("batch", "folder", "folder", *batch[3:], code=2)
    assert "folder: is a folder, not a video" in done.err
    done = drfuse("fuse", "ir.mkv", "vis.mkv", *batch[3:5], code=2)
    assert "ir.mkv: is a video" in done.err
    assert "drfuse batch" in done.err


def test_without_pyav(drfuse: Cli, batch: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    done = drfuse(*batch, code=4)
    assert "pip install 'drfuse[video]'" in done.err


# ---- while it runs ------------------------------------------------------------------------------


def test_an_interrupt_leaves_nothing(
    drfuse: Cli, batch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_network, calls = Engine.run, 0

    def interrupted(self: Engine, *given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return run_network(self, *given)

    before, threads = tree(Path()), threading.active_count()
    monkeypatch.setattr(Engine, "run", interrupted)
    done = drfuse(*batch, "--save-sources", "s", code=130)
    assert done.err.endswith("error: interrupted\n")
    assert tree(Path()) == before
    assert threading.active_count() <= threads + 2  # those of the engine itself


def test_a_failure_in_the_network_leaves_nothing(
    drfuse: Cli, batch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Engine, *given: Any) -> Any:
        raise DrfuseError("no more")

    before = tree(Path())
    monkeypatch.setattr(Engine, "run", fail)
    assert "no more" in drfuse(*batch, code=2).err
    assert tree(Path()) == before


def test_memory_is_bounded(drfuse: Cli, batch: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    make_pair(Path(), 60)
    lock, alive, most = threading.Lock(), 0, 0
    born, run_network = Frame.__init__, Engine.run

    def count(change: int) -> None:
        nonlocal alive, most
        with lock:
            alive += change
            most = max(most, alive)

    def counted(self: Frame, *given: Any) -> None:
        count(1)
        born(self, *given)

    monkeypatch.setattr(Frame, "__init__", counted)
    monkeypatch.setattr(Frame, "__del__", lambda self: count(-1), raising=False)
    monkeypatch.setattr(Engine, "run", lambda self, *given: run_network(self, *given))
    drfuse(*batch)
    assert most <= 2 * 3 * (2 * 2 + 1)


# ---- folders of frames --------------------------------------------------------------------------


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_weights: Path) -> list[str]:
    monkeypatch.chdir(tmp_path)
    make_pairs(Path("set"), *(f"frame{i}" for i in range(1, 12)), size=(64, 80))
    return [
        "batch", "set", "-o", "out", "--weights", str(small_weights), "--device", "cpu",
        "--sequence",
    ]  # fmt: skip


def test_frames_share_their_settings(drfuse: Cli, frames: list[str]) -> None:
    done = drfuse(*frames)
    assert "source 1 of every frame: noise std" in done.err
    operators = [line["operators"] for line in lines(Path("out"))]
    assert all(one == operators[0] for one in operators)
    os.rename("out", "whole")
    drfuse(*frames[:-1])
    alone = [line["operators"] for line in lines(Path("out"))]
    assert any(one != alone[0] for one in alone)


def test_parts_of_a_sequence_share_them_too(drfuse: Cli, frames: list[str]) -> None:
    drfuse(*frames)
    whole = tree(Path("out"))
    os.rename("out", "whole")
    for part in ("2/2", "1/2"):
        drfuse(*frames, "--shard", part)
    assert tree(Path("out")) == whole
    os.unlink("out/frame3.png")
    done = drfuse(*frames[:-1], "--register", "none", "--resume", code=2)
    assert "the run to resume had another sequence" in done.err
    drfuse(*frames, "--resume")
    assert tree(Path("out")) == whole
