"""Small videos, made with PyAV itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

RATE = Fraction(25)
FORMATS = {("u1", 2): "gray", ("u1", 3): "rgb24", ("u2", 2): "gray16le", ("u2", 3): "rgb48le"}
LOSSLESS = {"gray": "gray", "rgb24": "bgr0", "gray16le": "gray16le", "rgb48le": "gbrp16le"}


def make_video(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    codec: str = "ffv1",
    pixels: str | None = None,
    rate: Fraction = RATE,
    ticks: Sequence[int] | None = None,
    tick: Fraction | None = None,
    rotate: int | None = None,
    tags: tuple[int, int] | None = None,
    sound: bool = False,
) -> Path:
    """Write frames, lossless unless told otherwise; ``tags`` are matrix and range."""
    import av

    given = FORMATS[frames[0].dtype.str[1:], frames[0].ndim]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        options = {"crf": "4"} if codec == "libx264" else {}
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels or LOSSLESS[given]
        if tick is not None:
            stream.time_base = stream.codec_context.time_base = tick
        if rotate is not None:
            stream.set_display_rotation(rotate)
        into: dict[str, Any] = {}
        if tags is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = tags
            into = {"dst_colorspace": tags[0], "dst_color_range": tags[1], "src_color_range": 2}
        audio: Any = container.add_stream("pcm_s16le", rate=8000) if sound else None
        for number, pixels_now in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels_now), format=given)
            frame = frame.reformat(format=stream.pix_fmt, **into)
            frame.pts = number if ticks is None else ticks[number]
            frame.time_base = tick or 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
            silence.sample_rate = 8000
            container.mux(audio.encode(silence))
    return path


def read_video(path: Path, form: str = "rgb24") -> list[np.ndarray]:
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=form) for frame in container.decode(video=0)]


def moving(
    count: int, size: tuple[int, int] = (36, 48), *, colour: bool = False, noise: float = 5.0
) -> Iterator[np.ndarray]:
    """Bars that move over noise, which is new in every frame."""
    y, x = np.mgrid[: size[0], : size[1]]
    for number in range(count):
        base = 120 + 50 * np.sin((x + 2 * number) / 5.0) * np.cos(y / 7.0)
        planes = np.stack([base + 30, base, base - 30], -1) if colour else base
        rng = np.random.default_rng((number, colour))
        noisy = planes + rng.normal(0, noise, planes.shape)
        yield np.round(noisy).clip(0, 255).astype(np.uint8)


def make_pair(folder: Path, count: int = 6, **given: Any) -> tuple[Path, Path]:
    """``ir.mkv``, grey, and ``vis.mkv``, in colour."""
    ir = make_video(folder / "ir.mkv", list(moving(count)), **given)
    return ir, make_video(folder / "vis.mkv", list(moving(count, colour=True)), **given)
