"""A first look at a video, from end to end: what it is, when its frames are, a sample of them.

Everything that is wrong is found before hours of work, not after; how many frames there are is
known for certain, which headers are not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from os import PathLike

import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.sequence.steady import MOST
from drfuse_cli.videoio import Video, open_video

_NEUTRAL = 8
_STRAY = 1e-3
_SHORT = 0.05


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen: ``ticks`` from the first frame, ``sample`` by the number of the frame.

    ``cut`` says that the file holds less than its header promises; it is among ``warnings``.
    """

    video: Video
    colour: bool
    rate: Fraction
    ticks: tuple[int, ...]
    sample: dict[int, Image]
    warnings: tuple[str, ...]
    cut: str | None = None

    @property
    def frames(self) -> int:
        return len(self.ticks)

    @property
    def regular(self) -> bool:
        """Whether all frames last equally long, as far as the clock of the file can tell."""
        step = 1 / (self.rate * self.video.tick)
        return all(abs(ticks - i * step) <= 1 for i, ticks in enumerate(self.ticks))

    @property
    def timing(self) -> tuple[Fraction, Fraction, tuple[int, ...]]:
        """Rate, tick and ticks to write; a steady rate is written exactly."""
        if self.regular:
            return self.rate, 1 / self.rate, tuple(range(self.frames))
        return self.rate, self.video.tick, self.ticks


def look(path: str | PathLike[str], seen: Callable[[], None] = lambda: None) -> Look:
    """Decode a video once; ``seen`` is called after every frame.

    Raises ``DrfuseError`` as `open_video` does.
    """
    ticks: list[int | None] = []
    damaged = interlaced = 0
    sample: dict[int, Image] = {}
    step = 1
    with open_video(path) as (video, frames):
        for number, frame in enumerate(frames):
            ticks.append(frame.ticks)
            damaged += frame.damaged
            interlaced += frame.interlaced
            if number % step == 0:
                sample[number] = frame.image(video.chroma)
            if len(sample) > MOST:  # however long it gets, from end to end
                step *= 2
                sample = {at: image for at, image in sample.items() if at % step == 0}
            seen()
    colour = video.chroma and not all(_is_neutral(image) for image in sample.values())
    if video.chroma and not colour:
        sample = {at: replace(image, pixels=_green(image)) for at, image in sample.items()}
    rate = video.rate or _rate(video, ticks)
    times = _times(video, ticks, rate)
    cut = _cut(video, rate, times)
    warnings = _doubts(video, rate, times, damaged, interlaced)
    return Look(video, colour, rate, times, sample, (*([cut] if cut else ()), *warnings), cut)


def look_at_both(paths: tuple[str | PathLike[str], str | PathLike[str]]) -> tuple[Look, Look]:
    """Both at once; raises ``DrfuseError`` for the first that is found wanting."""
    over = threading.Event()

    def seen() -> None:
        if over.is_set():
            raise CancelledError

    with ThreadPoolExecutor(2) as pool:
        looking = [pool.submit(look, path, seen) for path in paths]
        try:
            wait(looking, return_when=FIRST_EXCEPTION)
            failed = [one for one in looking if one.done() and one.exception()]
            first, second = (one.result() for one in failed or looking)
            return first, second
        finally:
            over.set()


def _is_neutral(image: Image) -> bool:
    """Whether a picture is grey, but for what compression does to chroma."""
    if not image.colour:
        return True
    scale = image.max_value // 255
    pixels = image.pixels.astype(np.int32)
    apart = np.ptp(pixels, axis=-1) > _NEUTRAL * scale
    return bool(apart.mean() < _STRAY)


def _green(image: Image) -> np.ndarray:
    return np.ascontiguousarray(image.pixels[..., 1])


def _rate(video: Video, ticks: list[int | None]) -> Fraction:
    known = [at for at in ticks if at is not None]
    if len(known) < 2 or known[-1] <= known[0]:
        raise DrfuseError(
            "does not say how fast its frames follow each other",
            hint="Put it into a file that does: ffmpeg -r 25 -i IN -c copy OUT.mkv",
            path=video.path,
        )
    return Fraction(len(known) - 1) / ((known[-1] - known[0]) * video.tick)


def _times(video: Video, ticks: list[int | None], rate: Fraction) -> tuple[int, ...]:
    """Ticks since the first frame; as the rate has it where they are unknown or not in order."""
    known = [at for at in ticks if at is not None]
    if len(known) == len(ticks) and all(a < b for a, b in pairwise(known)):
        return tuple(at - known[0] for at in known)
    step = 1 / (rate * video.tick)
    return tuple(round(i * step) for i in range(len(ticks)))


def _cut(video: Video, rate: Fraction, times: tuple[int, ...]) -> str | None:
    ends = float(times[-1] * video.tick + 1 / rate)
    if video.seconds and ends < video.seconds - max(_SHORT * video.seconds, 2 / float(rate)):
        return f"{video.path}: it ends after {ends:.2f} s, its header says {video.seconds:.2f} s"
    return None


def _doubts(
    video: Video, rate: Fraction, times: tuple[int, ...], damaged: int, interlaced: int
) -> tuple[str, ...]:
    found = []
    if damaged:
        found.append(f"{damaged} frames are damaged")
    if interlaced:
        found.append("it is interlaced; frames are fused as they are, both fields woven together")
    longest = max((b - a for a, b in pairwise(times)), default=0)
    gap = float(longest * video.tick)
    if gap > max(2.5 / float(rate), 0.2):
        found.append(f"no frames for {gap:.2f} s at one place")
    if video.sound:
        found.append("its sound is left out")
    return tuple(f"{video.path}: {text}" for text in found)
