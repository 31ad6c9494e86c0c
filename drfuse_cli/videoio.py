"""Video files: frames to ``Image`` and back, with their times and colours, through PyAV.

PyAV is an extra, imported when a video is opened and nowhere else.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import Image, max_pixels, replacing, too_large, write_error

CodecName = Literal["auto", "h264", "ffv1"]

_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "medium", "crf": "16"}),
    "ffv1": ("ffv1", {"level": "3", "slicecrc": "1"}),
}
# Numbers of ITU-T H.273, as FFmpeg has them, and what its scaler calls the matrices.
_UNSPECIFIED, _RGB, _BT709 = 2, 0, 1
_MATRICES = {1: "ITU709", 4: "FCC", 7: "SMPTE240M", 9: "BT2020"}
_LIMITED, _FULL = 1, 2


@dataclass(frozen=True)
class Colours:
    """How numbers stand for colours, by ITU-T H.273: matrix, range, primaries, transfer."""

    matrix: int = _UNSPECIFIED
    range: int = 0
    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED

    @property
    def scaler(self) -> str:
        """The matrix as the scaler knows it; BT.601 where nothing is said."""
        return _MATRICES.get(self.matrix, "ITU601")

    def coded(self) -> Colours:
        """The colours of a file that is to hold luma and chroma."""
        matrix = _BT709 if self.matrix == _RGB else self.matrix
        return Colours(matrix, self.range or _LIMITED, self.primaries, self.transfer)


@dataclass(frozen=True)
class Video:
    """What a file says about its frames; sizes as shown, after ``rotation``.

    ``depth``: bits of a component. ``chroma``: whether the format has any, neutral or not.
    ``rotation``: degrees, counter-clockwise, from the frames as stored to those shown.
    ``aspect``: width of a pixel to its height. ``seconds``: as the header says.
    """

    path: str
    width: int
    height: int
    codec: str
    pixel_format: str
    depth: int
    chroma: bool
    rate: Fraction | None
    tick: Fraction
    rotation: int
    aspect: Fraction | None
    colours: Colours
    seconds: float | None
    sound: bool


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame; ``ticks`` is its time, in units of ``Video.tick``."""

    video: Video
    ticks: int | None
    interlaced: bool
    damaged: bool
    _frame: Any

    def image(self, colour: bool) -> Image:
        """Upright pixels over the full range; 16 bits for more than 8. Any thread may ask."""
        deep = self.video.depth > 8
        grey, rgb = ("gray16le", "rgb48le") if deep else ("gray", "rgb24")
        pixels = self._frame.reformat(format=rgb if colour else grey).to_ndarray()
        return Image(
            np.ascontiguousarray(np.rot90(pixels, self.video.rotation // 90)), self.video.path
        )


# ---- reading ----------------------------------------------------------------------------------


@contextmanager
def open_video(path: str | os.PathLike[str]) -> Iterator[tuple[Video, Iterator[Frame]]]:
    """A video and its frames, decoded in several threads as they are asked for.

    Raises ``DrfuseError`` naming the file where it is missing, is no video, cannot be decoded,
    or where its frames change their size.
    """
    name = os.fspath(path)
    av = _av()
    with _explained(av, name), _opened(av, name) as container:
        stream = _picture_stream(container, name)
        stream.thread_type = "AUTO"
        frames = container.decode(stream)
        first = next(frames, None)
        if first is None:
            raise DrfuseError("holds no frames", hint="Copy or export it again.", path=name)
        video = _describe(container, stream, first, name)
        yield video, _frames(av, video, first, frames)


def _av() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise DrfuseError(
            f"video needs PyAV, which cannot be imported ({error})",
            hint="Install it: pip install 'drfuse[video]'",
            code=ExitCode.ENVIRONMENT,
        ) from error


def _opened(av: Any, name: str) -> Any:
    # Without a protocol in front, FFmpeg would look for one in the name.
    return av.open(f"file:{name}", metadata_errors="replace")


@contextmanager
def _explained(av: Any, name: str) -> Iterator[None]:
    try:
        yield
    except av.error.FFmpegError as error:
        raise _read_error(name, error) from error


def _read_error(name: str, error: Any) -> DrfuseError:
    if isinstance(error, FileNotFoundError):
        return DrfuseError("no such file", hint="Check the path.", path=name)
    if isinstance(error, OSError):
        return DrfuseError(
            f"cannot be read: {error.strerror}", path=name, code=ExitCode.ENVIRONMENT
        )
    return DrfuseError(
        f"is no video that can be read ({error.strerror})",
        hint="Is it damaged, or cut off while it was copied?",
        path=name,
    )


def _picture_stream(container: Any, name: str) -> Any:
    cover = importlib.import_module("av.stream").Disposition.attached_pic
    moving = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not moving:
        raise DrfuseError("holds no video", hint="Give a file with moving pictures.", path=name)
    return moving[0]


def _describe(container: Any, stream: Any, first: Any, name: str) -> Video:
    rotation = round(first.rotation / 90) * 90 % 360
    width, height, aspect = first.width, first.height, stream.sample_aspect_ratio
    if rotation % 180:
        width, height, aspect = height, width, 1 / aspect if aspect else None
    if width * height > max_pixels():
        raise too_large(name, max_pixels())
    components = first.format.components
    ends = stream.duration * stream.time_base if stream.duration else None
    if ends is None and container.duration and not container.streams.audio:
        ends = Fraction(container.duration, 1_000_000)
    return Video(
        path=name,
        width=width,
        height=height,
        codec=stream.codec_context.name,
        pixel_format=first.format.name,
        depth=max(component.bits for component in components),
        chroma=first.format.has_palette or sum(not part.is_alpha for part in components) > 1,
        rate=stream.average_rate or stream.guessed_rate,
        tick=stream.time_base,
        rotation=rotation,
        aspect=aspect or None,
        colours=Colours(
            first.colorspace, first.color_range, first.color_primaries, first.color_trc
        ),
        seconds=float(ends) if ends else None,
        sound=bool(container.streams.audio),
    )


def _frames(av: Any, video: Video, first: Any, rest: Iterator[Any]) -> Iterator[Frame]:
    frame, number = first, 0
    shape = (first.width, first.height, first.format.name)
    while frame is not None:
        if (frame.width, frame.height, frame.format.name) != shape:
            raise DrfuseError(
                f"changes from {shape[0]}x{shape[1]} {shape[2]} to "
                f"{frame.width}x{frame.height} {frame.format.name} at frame {number}",
                hint="Cut it there, and fuse the parts.",
                path=video.path,
            )
        yield Frame(video, frame.pts, frame.interlaced_frame, frame.is_corrupt, frame)
        number += 1
        try:
            frame = next(rest, None)
        except av.error.FFmpegError as error:
            raise DrfuseError(
                f"cannot be decoded at frame {number} ({error.strerror})",
                hint="Is it damaged? Copy or export it again.",
                path=video.path,
            ) from error


# ---- writing ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """The file to write: its codec and pixel format, and how its frames stand in time."""

    path: Path
    codec: str
    pixel_format: str
    rate: Fraction
    tick: Fraction
    aspect: Fraction | None
    colours: Colours


def choose_target(
    path: Path,
    codec: CodecName,
    shown: Video,
    *,
    colour: bool,
    depth: int,
    size: tuple[int, int],
    timing: tuple[Fraction, Fraction],
) -> Target:
    """How to write fused frames of ``size`` (height, width) and ``depth`` bits.

    ``shown`` is the source whose colours and pixel format are kept as far as the codec can;
    ``timing`` the rate and the tick. ``auto`` is H.264, and FFV1 for more than 10 bits. Raises
    ``DrfuseError`` for a suffix that is not written, and where codec, container and depth do
    not go together.
    """
    chosen: str = codec
    if codec == "auto":
        chosen = "ffv1" if depth > 10 and path.suffix.lower() == ".mkv" else "h264"
    check_container(path, chosen)
    if chosen == "h264" and depth > 10:
        raise DrfuseError(
            f"H.264 cannot hold {depth} bits per channel",
            hint="Name it .mkv, for lossless FFV1 (--codec auto).",
            path=path,
        )
    if chosen == "ffv1":
        formats = {(False, False): "gray", (False, True): "gray16le", (True, False): "bgr0"}
        pixel_format, colours = formats.get((colour, depth > 8), "gbrp16le"), Colours()
    else:
        pixel_format, colours = _h264_format(shown, size, depth), shown.colours.coded()
    return Target(path, chosen, pixel_format, *timing, shown.aspect, colours)


def check_container(path: Path, codec: str) -> None:
    """Raise ``DrfuseError`` for a name that says no container, or none that holds the codec."""
    suffix = path.suffix.lower()
    if suffix not in _CONTAINERS:
        what = f"the suffix {suffix!r} is no video format" if suffix else "has no suffix"
        raise DrfuseError(
            f"{what} that is written", hint=f"Use one of {', '.join(_CONTAINERS)}.", path=path
        )
    if codec == "ffv1" and suffix != ".mkv":
        raise DrfuseError(f"{suffix} cannot hold FFV1", hint="Use .mkv.", path=path)


def _h264_format(shown: Video, size: tuple[int, int], depth: int) -> str:
    """Chroma as fine as that of the source, and as odd sizes need it."""
    plain = shown.pixel_format.replace("yuvj", "yuv")
    kept = next((k for k in ("444", "422") if plain.startswith(f"yuv{k}")), "420")
    height, width = size
    if width % 2 or (height % 2 and kept == "420"):
        kept = "444"
    return f"yuv{kept}p" + ("10le" if depth > 8 else "")


Put = Callable[[Image, int], None]
"""Takes the next frame and its time in ticks."""


@contextmanager
def write_video(target: Target, size: tuple[int, int]) -> Iterator[Put]:
    """Encode frames of ``size`` (height, width) into a file that appears whole or not at all.

    Raises ``DrfuseError`` where the disk is full or the encoder is not there.
    """
    av = _av()
    with replacing(target.path) as temporary:
        try:
            container, stream = _start(av, target, size, temporary)
            try:
                yield lambda image, ticks: container.mux(
                    stream.encode(_picture(av, target, image, ticks))
                )
                container.mux(stream.encode(None))
            except BaseException:
                with suppress(Exception):
                    container.close()
                raise
            container.close()
        except av.error.FFmpegError as error:
            raise _written_badly(target.path, error) from error


def _start(av: Any, target: Target, size: tuple[int, int], temporary: Path) -> tuple[Any, Any]:
    kind = _CONTAINERS[target.path.suffix.lower()]
    options = {} if kind == "matroska" else {"movflags": "+faststart"}
    container = av.open(f"file:{os.fspath(temporary)}", "w", format=kind, options=options)
    encoder, settings = _ENCODERS[target.codec]
    stream = container.add_stream(encoder, rate=target.rate, options=settings)
    stream.height, stream.width = size
    stream.pix_fmt = target.pixel_format
    stream.time_base = target.tick
    context = stream.codec_context
    context.time_base = target.tick
    if target.aspect:
        context.sample_aspect_ratio = target.aspect
    if target.codec == "h264":
        context.colorspace, context.color_range = target.colours.matrix, target.colours.range
        context.color_primaries = target.colours.primaries
        context.color_trc = target.colours.transfer
    return container, stream


def _picture(av: Any, target: Target, image: Image, ticks: int) -> Any:
    given = {(False, 8): "gray", (False, 16): "gray16le", (True, 8): "rgb24"}
    frame = av.VideoFrame.from_ndarray(
        image.pixels, format=given.get((image.colour, image.bits), "rgb48le")
    )
    if target.codec == "h264":
        scaling = importlib.import_module("av.video.reformatter")
        frame = frame.reformat(
            format=target.pixel_format,
            src_color_range=_FULL,
            dst_colorspace=scaling.Colorspace[target.colours.scaler],
            dst_color_range=target.colours.range,
        )
    else:
        frame = frame.reformat(format=target.pixel_format)
    frame.pts, frame.time_base = ticks, target.tick
    return frame


def _written_badly(path: Path, error: Any) -> DrfuseError:
    if isinstance(error, OSError):
        return write_error(path, error)
    return DrfuseError(
        f"cannot be encoded ({error.strerror})",
        hint="--codec ffv1 with a name ending in .mkv needs no H.264 encoder.",
        path=path,
        code=ExitCode.ENVIRONMENT,
    )
