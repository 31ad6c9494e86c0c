"""Video files: pixels, times and colours there and back, and files that are no videos."""

from __future__ import annotations

import resource
import sys
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import Image
from drfuse_cli.videoio import Target, Video, choose_target, open_video, write_video

pytest.importorskip("av", reason="needs pip install 'drfuse[video]'")

from video_support import make_video, moving, read_video

GRADIENT = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None], 48, 0)


def read(path: Path, colour: bool = False) -> tuple[Video, list[Image]]:
    with open_video(path) as (video, frames):
        return video, [frame.image(colour) for frame in frames]


def target(path: Path, shown: Video, colour: bool = True, depth: int = 8) -> Target:
    size = (shown.height, shown.width)
    rate = shown.rate or Fraction(25)
    return choose_target(
        path, "auto", shown, colour=colour, depth=depth, size=size, timing=(rate, 1 / rate)
    )


def write(chosen: Target, images: list[Image]) -> None:
    with write_video(chosen, (images[0].height, images[0].width)) as put:
        for number, image in enumerate(images):
            put(image, number)


# ---- there and back -----------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("bits", [8, 16])
def test_lossless_there_and_back(tmp_path: Path, bits: int, colour: bool) -> None:
    shape = (37, 51, 3) if colour else (37, 51)
    rng = np.random.default_rng(bits)
    frames = [rng.integers(0, 2**bits, shape).astype(f"uint{bits}") for _ in range(4)]
    make_video(tmp_path / "a.mkv", frames)
    video, images = read(tmp_path / "a.mkv", colour)
    assert (video.depth, video.chroma, video.width, video.height) == (bits, colour, 51, 37)
    assert all((a.pixels == b).all() for a, b in zip(images, frames, strict=True))
    chosen = choose_target(
        tmp_path / "b.mkv", "ffv1", video, colour=colour, depth=bits, size=(37, 51),
        timing=(Fraction(25), Fraction(1, 25)),
    )  # fmt: skip
    write(chosen, images)
    again = read(tmp_path / "b.mkv", colour)[1]
    assert all((a.pixels == b).all() for a, b in zip(again, frames, strict=True))


@pytest.mark.parametrize("tags", [(1, 1), (5, 1), (1, 2), None], ids=str)
def test_colours_survive_h264(tmp_path: Path, tags: tuple[int, int] | None) -> None:
    picture = np.stack([GRADIENT, GRADIENT[:, ::-1], np.full_like(GRADIENT, 90)], -1)
    make_video(tmp_path / "a.mp4", [picture] * 3, codec="libx264", pixels="yuv420p", tags=tags)
    video, images = read(tmp_path / "a.mp4", colour=True)
    assert np.abs(images[0].pixels.astype(int) - picture).mean() < 3
    write(target(tmp_path / "b.mp4", video), images)
    again, found = read(tmp_path / "b.mp4", colour=True)
    assert np.abs(found[0].pixels.astype(int) - picture).mean() < 4
    assert (again.pixel_format.replace("j", ""), again.depth) == ("yuv420p", 8)
    if tags is not None:
        assert (again.colours.matrix, again.colours.range) == tags


def test_grey_covers_the_full_range(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", [GRADIENT] * 2, codec="libx264", pixels="yuv420p", tags=(1, 1))
    found = read(tmp_path / "a.mp4")[1][0].pixels
    assert np.abs(found.astype(int) - GRADIENT).max() <= 5


def test_rotation(tmp_path: Path) -> None:
    corner = np.zeros((32, 48), np.uint8)
    corner[:8, :8] = 250
    make_video(tmp_path / "a.mp4", [corner], codec="libx264", pixels="yuv420p", rotate=90)
    video, (image,) = read(tmp_path / "a.mp4")
    assert (video.width, video.height) == (image.width, image.height) == (32, 48)
    # Counter-clockwise: top left goes to bottom left.
    assert image.pixels[-8:, :8].mean() > 200
    assert image.pixels[:8].mean() < 20


def test_odd_sizes_are_kept(tmp_path: Path) -> None:
    frames = [Image(next(iter(moving(1, (35, 47), colour=True))))] * 2
    make_video(tmp_path / "a.mkv", [frames[0].pixels])
    chosen = target(tmp_path / "b.mp4", read(tmp_path / "a.mkv", colour=True)[0])
    assert chosen.pixel_format == "yuv444p"
    write(chosen, frames)
    found = read_video(tmp_path / "b.mp4")[0]
    assert found.shape == (35, 47, 3)
    assert np.abs(found.astype(int) - frames[0].pixels).mean() < 4


def test_ten_bits_stay_ten(tmp_path: Path) -> None:
    deep = (GRADIENT.astype(np.uint16) * 257)[..., None].repeat(3, -1)
    make_video(tmp_path / "a.mkv", [deep], pixels="yuv420p10le")
    video, images = read(tmp_path / "a.mkv", colour=True)
    assert (video.depth, images[0].bits) == (10, 16)
    write(target(tmp_path / "b.mp4", video, depth=10), images)
    again, found = read(tmp_path / "b.mp4", colour=True)
    assert again.pixel_format == "yuv420p10le"
    assert np.abs(found[0].pixels.astype(int) - deep).mean() < 3 * 257


# ---- what is written ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "depth", "said"),
    [
        ("out.gif", "auto", 8, "'.gif' is no video format"),
        ("out", "auto", 8, "has no suffix"),
        ("out.mp4", "ffv1", 8, "cannot hold FFV1"),
        ("out.mp4", "auto", 16, "H.264 cannot hold 16 bits"),
        ("out.mkv", "h264", 12, "H.264 cannot hold 12 bits"),
    ],
)
def test_what_does_not_go_together(
    tmp_path: Path, name: str, codec: str, depth: int, said: str
) -> None:
    shown = read(make_video(tmp_path / "a.mkv", [GRADIENT]))[0]
    with pytest.raises(DrfuseError, match=said):
        choose_target(
            Path(name), codec, shown, colour=True, depth=depth, size=(48, 64),  # type: ignore[arg-type]
            timing=(Fraction(25), Fraction(1, 25)),
        )  # fmt: skip


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    shown = read(make_video(tmp_path / "a.mkv", [GRADIENT]))[0]
    with pytest.raises(KeyboardInterrupt), write_video(target(tmp_path / "b.mp4", shown), (48, 64)):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [Image(rng.integers(0, 256, (96, 128), np.uint8)) for _ in range(20)]
    shown = read(make_video(tmp_path / "a.mkv", [noise[0].pixels]))[0]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
    try:
        with pytest.raises(DrfuseError) as caught:
            write(target(tmp_path / "b.mkv", shown, colour=False), noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.code == ExitCode.ENVIRONMENT
    assert caught.value.path == str(tmp_path / "b.mkv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


# ---- what is no video ---------------------------------------------------------------------------


def silence(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b""), "is no video that can be read"),
        (lambda path: path.write_bytes(b"hello" * 1000), "is no video that can be read"),
        (silence, "holds no video"),
    ],
    ids=["missing", "folder", "empty", "junk", "sound"],
)
def test_files_that_are_no_videos(tmp_path: Path, make: object, said: str) -> None:
    path = tmp_path / "x.mp4"
    make(path)  # type: ignore[operator]
    with pytest.raises(DrfuseError, match=said) as caught, open_video(path):
        pass
    assert caught.value.path == str(path)


def test_a_name_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(Path("a.mkv"), [GRADIENT])
    for name in ("http:x.mkv", "concat:a|b.mkv", "z\udce9.mkv", "-x.mkv"):
        Path(name).write_bytes(Path("a.mkv").read_bytes())
        assert len(read(Path(name))[1]) == 1


def test_a_size_that_changes(tmp_path: Path) -> None:
    for name, size in (("a", (32, 48)), ("b", (48, 64))):
        frames = list(moving(3, size))
        make_video(tmp_path / f"{name}.h264", frames, codec="libx264", pixels="yuv420p")
    both = (tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes()
    (tmp_path / "both.h264").write_bytes(both)
    with pytest.raises(DrfuseError, match="changes from 48x32 yuv420p to 64x48 yuv420p at frame 3"):
        read(tmp_path / "both.h264")


def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "a.mkv", [GRADIENT])
    monkeypatch.setenv("DRFUSE_MAX_PIXELS", "1000")
    with pytest.raises(DrfuseError, match="larger than the limit"):
        read(tmp_path / "a.mkv")


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DrfuseError, match="pip install 'drfuse\\[video\\]'") as caught:
        read(tmp_path / "a.mkv")
    assert caught.value.code == ExitCode.ENVIRONMENT
