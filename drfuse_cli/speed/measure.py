"""One setting, measured: pairs a second from file to file, and the time of every stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch

from drfuse_cli.batch.pipeline import Outcome, Stop, fuse_all
from drfuse_cli.batch.plan import Work
from drfuse_cli.batch.recipe import Recipe
from drfuse_cli.degradations import assume
from drfuse_cli.engine import Engine, Prepared, prepare
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import encode_image, read_image, write_bytes
from drfuse_cli.registration import register

P = ParamSpec("P")
R = TypeVar("R")

_NETWORKS = "denoise", "network"
STAGES = ("read", "estimate", "register", "prepare", *_NETWORKS, "operators", "encode", "write")
_REPEATS = 3
_FEWEST, _MOST = 3, 2000
"""Batches, and pairs."""


@dataclass(frozen=True)
class Measured:
    """Pairs a second on the clock, processor seconds a pair, and seconds a pair by stage.

    ``in_memory`` is pairs a second without reading and writing. Stages are measured one after
    another, on a processor with one pair on one core; a run overlaps them.
    """

    batch: int
    pairs: int
    pairs_per_second: float
    in_memory: float
    processor_seconds: float
    stages: dict[str, float]


@dataclass
class _Stages:
    """Seconds by stage; on a GPU the clock waits until the work is done."""

    device: torch.device
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        started = self.now()
        yield
        self.seconds[stage] += self.now() - started

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def measured(self, stage: str, function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.measure(stage):
                return function(*args, **kwargs)

        return wrapped


def measure(
    engine: Engine,
    recipe: Recipe,
    sources: tuple[Path, Path],
    folder: Path,
    *,
    batch: int | None,
    workers: int,
    seconds: float,
) -> Measured:
    """Fuse one pair of files again and again for about so many seconds, writing to ``folder``.

    Raises ``DrfuseError`` where a pair fails.
    """
    prepared = _read(recipe, sources, _Stages(engine.device))
    size = batch or engine.batch_size(prepared)
    stages = _stages(engine, recipe, sources, folder, size)
    once = _timed(engine, lambda: engine.run([prepared] * size, size)) / size
    count = max(_FEWEST * size, min(_MOST, round(seconds / once)))
    in_memory = _timed(engine, lambda: _repeat(engine, prepared, count, size))
    busy = time.process_time()
    clock = _timed(engine, lambda: _pipeline(engine, recipe, sources, folder, count, size, workers))
    return Measured(
        batch=size,
        pairs=count,
        pairs_per_second=count / clock,
        in_memory=count / in_memory,
        processor_seconds=(time.process_time() - busy) / count,
        stages=stages,
    )


def _timed(engine: Engine, work: Callable[[], object]) -> float:
    stages = _Stages(engine.device)
    started = stages.now()
    work()
    return stages.now() - started


def _repeat(engine: Engine, prepared: Prepared, count: int, size: int) -> None:
    for start in range(0, count, size):
        engine.run([prepared] * min(size, count - start), size)


# ---- by stage -----------------------------------------------------------------------------------


def _stages(
    engine: Engine, recipe: Recipe, sources: tuple[Path, Path], folder: Path, size: int
) -> dict[str, float]:
    """The least of several runs, a pair."""
    runs = [_stages_once(engine, recipe, sources, folder, size) for _ in range(_REPEATS)]
    return {stage: min(run[stage] for run in runs) for stage in STAGES}


def _stages_once(
    engine: Engine, recipe: Recipe, sources: tuple[Path, Path], folder: Path, size: int
) -> dict[str, float]:
    stages = _Stages(engine.device)
    prepared = _read(recipe, sources, stages)
    together = size if engine.batches else 1
    with _networks_measured(engine, stages), stages.measure("operators"):
        fusion, *_ = engine.run([prepared] * together, together)
    stages.seconds["operators"] -= sum(stages.seconds[stage] for stage in _NETWORKS)
    for stage in (*_NETWORKS, "operators"):
        stages.seconds[stage] /= together
    with stages.measure("encode"):
        data = encode_image(fusion.fused, ".png")
    with stages.measure("write"):
        write_bytes(folder / "stages.png", data)
    return stages.seconds


def _read(recipe: Recipe, sources: tuple[Path, Path], stages: _Stages) -> Prepared:
    told = recipe.told
    with stages.measure("read"):
        images = read_image(sources[0]), read_image(sources[1])
    with stages.measure("estimate"):
        degradations = assume(told.task, told.mode, told.overrides, images)
    with stages.measure("register"):
        images, degradations, _ = register(images, degradations, told.task, told.register)
    with stages.measure("prepare"):
        return prepare(*images, degradations)


@contextmanager
def _networks_measured(engine: Engine, stages: _Stages) -> Iterator[None]:
    """Without the denoiser, where weights have none, its stage takes no time."""
    network, denoiser = engine.model.network, engine.model.denoiser
    parts = [(network, "encode", "network"), (network, "forward", "network")]
    if denoiser is not None:
        parts.append((denoiser, "forward", "denoise"))
    for module, method, stage in parts:
        setattr(module, method, stages.measured(stage, getattr(module, method)))
    try:
        yield
    finally:
        for module, method, _ in parts:
            delattr(module, method)


# ---- from file to file ---------------------------------------------------------------------------


class _Nowhere:
    """A journal that forgets."""

    def add(self, document: Mapping[str, Any]) -> None:
        pass


def _pipeline(
    engine: Engine,
    recipe: Recipe,
    sources: tuple[Path, Path],
    folder: Path,
    count: int,
    size: int,
    workers: int,
) -> None:
    names = (f"{i:06}" for i in range(count))
    work = (Work(name, sources, folder / f"{name}.png") for name in names)

    def tell(outcome: Outcome) -> None:
        if outcome.error is not None:
            raise DrfuseError(f"the pair to measure failed: {outcome.error}", code=ExitCode.FAILED)
        outcome.work.fused.unlink()

    fuse_all(work, recipe, engine, _Nowhere(), workers=workers, batch=size, stop=Stop(), tell=tell)
