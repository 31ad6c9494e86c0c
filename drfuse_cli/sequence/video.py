"""Two videos in, one video out: decoding, the network and encoding each in threads of their own.

A few frames are in memory at a time, however long the videos are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from drfuse_cli.batch.pipeline import in_order
from drfuse_cli.engine import Engine, Fusion, Prepared, prepare
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.sequence.match import Match
from drfuse_cli.sequence.stages import ahead
from drfuse_cli.videoio import CodecName, Frame, Target, choose_target, open_video, write_video

_PIXELS_AHEAD = 8_000_000
"""Pixels of frames that wait in front of each stage."""


@dataclass(frozen=True)
class Films:
    """What is written: the fused video, and the restored sources where they are wanted."""

    fused: Target
    restored: tuple[Target, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.fused, *self.restored


@dataclass(frozen=True)
class Result:
    """How it went: the root mean square over all frames of both residuals, in grey levels."""

    frames: int
    last: Fusion
    images: tuple[Image, Image]
    rms: tuple[float, float]


def choose_films(
    matched: Match, output: Path, restored: tuple[Path, ...], codec: CodecName
) -> Films:
    """The files to write; raises ``DrfuseError`` for names that cannot hold them."""
    timing = matched.looks[0].timing[:2]
    shown, size = matched.shown.video, matched.size

    def target(path: Path, colour: bool, depth: int) -> Target:
        return choose_target(
            path, codec, shown, colour=colour, depth=depth, size=size, timing=timing
        )

    return Films(
        target(output, matched.colour, matched.depth),
        tuple(
            target(path, look.colour, look.video.depth)
            for path, look in zip(restored, matched.looks, strict=False)
        ),
    )


def fuse_videos(
    matched: Match,
    films: Films,
    engine: Engine,
    *,
    workers: int,
    batch: int | None = None,
    tell: Callable[[], None] = lambda: None,
) -> Result:
    """Fuse every frame with the same settings; ``tell`` is called after each.

    No file appears unless all is well. Raises ``DrfuseError``.
    """
    buffered = max(1, min(2 * workers, _PIXELS_AHEAD // math.prod(matched.size)))
    ticks = matched.looks[0].timing[2]
    squares, done = (0.0, 0.0), 0
    last: _Made | None = None
    with ExitStack() as stack:
        # The fused one is closed last: where it stands, the rest does too.
        puts = [stack.enter_context(write_video(target, matched.size)) for target in films.targets]
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        pairs = stack.enter_context(closing(ahead(_frames(matched), buffered)))
        ready = in_order(pool, partial(_prepare, matched), pairs, lambda: buffered)
        fused = stack.enter_context(closing(ahead(_fuse(ready, engine, batch), buffered)))
        for last in in_order(pool, partial(_make, films), fused, lambda: buffered):
            for put, image in zip(puts, last.frames, strict=True):
                put(image, ticks[done])
            squares = squares[0] + last.rms[0] ** 2, squares[1] + last.rms[1] ** 2
            done += 1
            tell()
        if last is None or done < matched.frames:
            raise DrfuseError(
                f"has {done} frames, and had {matched.frames} a moment ago",
                hint="Wait until nothing writes to it any more.",
                path=matched.looks[0].video.path,
            )
    rms = math.sqrt(squares[0] / done), math.sqrt(squares[1] / done)
    return Result(done, last.fusion, last.images, rms)


@dataclass(frozen=True)
class _Ready:
    images: tuple[Image, Image]
    prepared: Prepared


@dataclass(frozen=True)
class _Made:
    """A frame of each film, in the order of ``Films.targets``."""

    images: tuple[Image, Image]
    fusion: Fusion
    frames: tuple[Image, ...]
    rms: tuple[float, float]


def _frames(matched: Match) -> Iterator[tuple[Frame, Frame]]:
    first, second = (look.video.path for look in matched.looks)
    with open_video(first) as (_, one), open_video(second) as (_, other):
        yield from islice(zip(one, other, strict=False), matched.frames)


def _prepare(matched: Match, pair: tuple[Frame, Frame]) -> _Ready:
    first, second = (
        frame.image(look.colour) for frame, look in zip(pair, matched.looks, strict=True)
    )
    images = matched.taken((first, second))
    return _Ready(images, prepare(*images, matched.degradations))


def _fuse(
    ready: Iterator[_Ready], engine: Engine, batch: int | None
) -> Iterator[tuple[_Ready, Fusion]]:
    for one in ready:
        size = batch or engine.batch_size(one.prepared)
        some = [one, *islice(ready, size - 1)]
        yield from zip(some, engine.run([each.prepared for each in some], size), strict=True)


def _make(films: Films, fused: tuple[_Ready, Fusion]) -> _Made:
    ready, fusion = fused
    restored = fusion.sources if films.restored else ()
    first, second = (float(rms) for rms, _ in fusion.residuals_seen)
    return _Made(ready.images, fusion, (fusion.fused, *restored), (first, second))
