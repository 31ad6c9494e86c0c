"""Read, fuse, write, all at once: threads decode ahead and encode behind the network.

What is in memory is bounded by the number of threads and by the size of the pairs, not by how
many there are.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from drfuse_cli.batch.journal import Record
from drfuse_cli.batch.plan import Work
from drfuse_cli.batch.recipe import Recipe, Written
from drfuse_cli.engine import Engine, Fusion, Prepared, prepare
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import Image, encode_image, write_bytes
from drfuse_cli.report.explain import pictures
from drfuse_cli.sources import Sources, read_sources
from drfuse_cli.sources.intake import Intake

T = TypeVar("T")
R = TypeVar("R")

_PIXELS_AHEAD = 64_000_000
"""Pixels of pairs that are read and wait for the network, or fused and wait to be written."""


@dataclass
class Stop:
    """Set from outside to let a run finish what it has begun, and begin nothing more."""

    asked: bool = False


@dataclass(frozen=True)
class Outcome:
    """A pair that is finished; ``error`` says why it failed."""

    work: Work
    error: str | None = None
    doubtful: bool = False
    """Whether its line in the manifest has warnings of its own."""


@dataclass(frozen=True)
class _Loaded:
    work: Work
    sources: Sources
    prepared: Prepared
    seconds: float


def fuse_all(
    work: Iterable[Work],
    recipe: Recipe,
    engine: Engine,
    journal: Record,
    *,
    workers: int,
    batch: int | None = None,
    stop: Stop,
    tell: Callable[[Outcome], None],
) -> None:
    """Fuse pairs and write them down; ``tell`` hears of each, in this thread.

    ``batch`` pairs of a size go through the network together; None leaves that to the engine.
    A pair that fails stops no other. Raises ``DrfuseError`` where nothing can be written any
    more; what was in flight is then finished as far as it goes.
    """
    _Pipeline(recipe, engine, journal, workers, batch, stop, tell).run(work)


def in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[T], R],
    items: Iterable[T],
    ahead: Callable[[], int],
) -> Iterator[R]:
    """``map`` in threads that is never more than ``ahead()`` items further than its reader."""
    running: deque[Future[R]] = deque()
    for item in items:
        running.append(pool.submit(function, item))
        while len(running) >= ahead():
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


class _Pipeline:
    def __init__(
        self,
        recipe: Recipe,
        engine: Engine,
        journal: Record,
        workers: int,
        batch: int | None,
        stop: Stop,
        tell: Callable[[Outcome], None],
    ) -> None:
        self.recipe, self.engine, self.journal = recipe, engine, journal
        self.workers, self.batch, self.stop, self.tell = workers, batch, stop, tell
        self.waiting: dict[Hashable, list[_Loaded]] = {}
        self.writing: deque[Future[Outcome]] = deque()
        self.largest = 1

    def run(self, work: Iterable[Work]) -> None:
        self.readers = ThreadPoolExecutor(self.workers, "read")
        self.writers = ThreadPoolExecutor(self.workers, "write")
        try:
            for read in in_order(self.readers, self._read, work, self._limit):
                if self.stop.asked:
                    break
                self._take(read)
            while self.waiting and not self.stop.asked:
                self._fuse_most()
            while self.writing:
                self._collect()
        finally:
            for pool in (self.readers, self.writers):
                pool.shutdown(cancel_futures=True)

    def _limit(self) -> int:
        """Pairs that may be ahead of the network, and as many behind it."""
        return max(1, min(2 * self.workers, _PIXELS_AHEAD // self.largest))

    # ---- reading, in threads ------------------------------------------------------------------

    def _read(self, work: Work) -> _Loaded | Outcome:
        started = time.perf_counter()
        try:
            sources = read_sources(work.sources, self.recipe.told)
            prepared = prepare(*sources.images, sources.degradations)
        except Exception as error:
            return Outcome(work, _describe(error))
        return _Loaded(work, sources, prepared, time.perf_counter() - started)

    # ---- fusing, in the main thread -----------------------------------------------------------

    def _take(self, read: _Loaded | Outcome) -> None:
        while self.writing and self.writing[0].done():
            self._collect()
        if isinstance(read, Outcome):
            self._finish(read)
            return
        self.largest = max(self.largest, read.prepared.pixels)
        alike = self.waiting.setdefault(read.prepared.key, [])
        alike.append(read)
        if len(alike) >= self._size(read):
            self._fuse(self.waiting.pop(read.prepared.key))
        elif sum(map(len, self.waiting.values())) > max(self._limit(), self._size(read)):
            self._fuse_most()

    def _size(self, like: _Loaded) -> int:
        return self.batch or self.engine.batch_size(like.prepared)

    def _fuse_most(self) -> None:
        """Let go of the largest group that waits for more of its kind."""
        key = max(self.waiting, key=lambda key: len(self.waiting[key]))
        self._fuse(self.waiting.pop(key))

    def _fuse(self, alike: list[_Loaded]) -> None:
        try:
            fusions = self.engine.run([one.prepared for one in alike], self._size(alike[0]))
        except Exception as error:
            if len(alike) == 1:
                self._finish(Outcome(alike[0].work, _describe(error)))
                return
            for one in alike:  # one of them is at fault
                self._fuse([one])
            return
        for one, fusion in zip(alike, fusions, strict=True):
            while len(self.writing) >= self._limit():
                self._collect()
            self.writing.append(self.writers.submit(self._write, one, fusion))

    def _collect(self) -> None:
        """Wait for the first of the pairs that are being written."""
        self._finish(self.writing.popleft().result())

    def _finish(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.journal.add(self.recipe.failed(outcome.work, outcome.error))
        self.tell(outcome)

    # ---- writing, in threads ------------------------------------------------------------------

    def _write(self, loaded: _Loaded, fusion: Fusion) -> Outcome:
        work, started = loaded.work, time.perf_counter()
        try:
            images = _images(work, fusion, loaded.sources.intake)
            written = [_write_image(path, image) for path, image in images]
        except Exception as error:
            if isinstance(error, DrfuseError) and error.code == ExitCode.ENVIRONMENT:
                raise
            return Outcome(work, _describe(error))
        seconds = {
            "load": 0.0,
            "read": loaded.seconds,
            "fuse": fusion.seconds,
            "write": time.perf_counter() - started,
        }
        self.journal.add(self.recipe.done(work, loaded.sources, fusion, seconds, written))
        return Outcome(work, doubtful=bool(loaded.sources.warnings or fusion.warnings))


def _images(work: Work, fusion: Fusion, intake: Intake) -> list[tuple[Path, Image]]:
    """What becomes of ``work.files``."""
    images: list[Image] = []
    if work.restored:
        images += intake.restored(fusion)
    if work.explained:
        found = pictures(fusion.result())
        images += [found[path.name] for path in work.explained]
    return list(zip(work.files, [*images, intake.fused(fusion)], strict=True))


def _write_image(path: Path, image: Image) -> Written:
    data = encode_image(image, path.suffix, path)
    write_bytes(path, data)
    return Written(path, hashlib.sha256(data).hexdigest())


def _describe(error: Exception) -> str:
    if isinstance(error, DrfuseError):
        return f"{error.path}: {error.message}" if error.path else error.message
    if isinstance(error, MemoryError):
        return "not enough memory"
    return f"internal error: {type(error).__name__}: {error}"
