"""One pair, every method: what a worker process does."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from drfuse_cli.colour import luma8
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.baselines import FUSERS, RESTORERS, Baseline, fuse
from drfuse_cli.evaluation.cases import (
    Both,
    Case,
    CleanPair,
    Degradations,
    Size,
    make_case,
    size_of,
)
from drfuse_cli.evaluation.journal import Entry
from drfuse_cli.evaluation.results import Failure
from drfuse_cli.evaluation.scored import sources_for
from drfuse_cli.imageio import Image, read_image, write_image
from drfuse_cli.metrics import Sources, Triple, psnr, score_triple

PICTURES = tuple(
    f"{kind}{number}" for kind in ("source", "degraded", "restored") for number in (1, 2)
)
"""The folders of pictures that no method may take the name of."""

Psnr = tuple[float | None, float | None]


@dataclass(frozen=True)
class Setting:
    """What holds for every pair of a run.

    ``factors`` are the pooling factors to which a fused image may have been cropped;
    ``images`` is the folder that gets every picture. ``metrics_device`` is the torch device that
    computes the metrics, in the process of the network; None are the workers' processors.
    """

    degradations: Degradations
    seed: int
    metrics: tuple[str, ...]
    factors: tuple[int, ...] = ()
    images: Path | None = None
    metrics_device: str | None = None


@dataclass(frozen=True)
class NetworkResult:
    """What the network made of a pair."""

    name: str
    fused: Image
    sources: Both
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A pair and what is to be found out about it; ``case`` where it has been made already."""

    pair: CleanPair
    setting: Setting
    case: Case | None = None
    network: NetworkResult | None = None
    fused: dict[str, Path] = field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()
    restorers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unscored:
    """What is known of a method on a pair before its fused image is scored."""

    entry: Entry
    triple: Triple

    def score(self, metrics: tuple[str, ...]) -> Entry:
        """The entry with its scores."""
        return replace(self.entry, scores=score_triple(self.triple, metrics))


@dataclass(frozen=True)
class Outcome:
    """What came of a job; something is ``unscored`` where the worker does not compute metrics."""

    pair: str
    entries: tuple[Entry, ...]
    failures: tuple[Failure, ...]
    unscored: tuple[Unscored, ...] = ()


def run_job(job: Job) -> Outcome:
    """Degrade, fuse, restore and, on a processor, score one pair.

    What is wrong with the pair becomes a failure; what is wrong with the disk is raised.
    """
    try:
        case = job.case or make_case(job.pair, job.setting.degradations, job.setting.seed)
    except DrfuseError as error:
        return Outcome(job.pair.name, (), (failure(job.pair.name, None, error),))
    return _Bench(case, job.setting).run(job)


def failure(pair: str, method: str | None, error: DrfuseError) -> Failure:
    """What is wrong with a pair, on one line."""
    where = f"{error.path}: " if error.path else ""
    return Failure(pair, method, " ".join(f"{where}{error.message}".split()))


class _Bench:
    """One case, with what several methods share of it."""

    def __init__(self, case: Case, setting: Setting) -> None:
        self.case, self.setting = case, setting
        self.entries: list[Entry] = []
        self.failures: list[Failure] = []
        self.unscored: list[Unscored] = []
        self._restored: dict[str, tuple[Both, float]] = {}
        self._sources: dict[Size, Sources] = {}

    def run(self, job: Job) -> Outcome:
        self._write("source", self.case.clean)
        if not self.case.is_clean:
            self._write("degraded", self.case.degraded)
        if job.network is not None:
            self._write("restored", job.network.sources)
            self._judge_network(job.network)
        for name, path in job.fused.items():
            self._judge_file(name, path)
        for baseline in job.baselines:
            self._judge_baseline(baseline)
        for name in job.restorers:
            sources, _ = self._restore(name)
            self.entries.append(Entry(name, self.case.name, {}, psnr=self._psnr(sources)))
        return Outcome(
            self.case.name, tuple(self.entries), tuple(self.failures), tuple(self.unscored)
        )

    def _judge_network(self, result: NetworkResult) -> None:
        psnr = None if self.case.is_clean else self._psnr(result.sources)
        more = {"seconds": result.seconds, "psnr": psnr, "warnings": result.warnings}
        self._judge(result.name, result.fused, self.case.clean, **more)

    def _judge_file(self, name: str, path: Path) -> None:
        try:
            fused = read_image(path)
            clean, cut = sources_for(fused, self.case.whole, self.setting.factors)
        except DrfuseError as error:
            self.failures.append(failure(self.case.name, name, error))
            return
        self._judge(name, fused, clean, cropped=cut)

    def _judge_baseline(self, baseline: Baseline) -> None:
        sources, seconds = self._restore(baseline.restorer)
        started = time.perf_counter()
        fused = fuse(sources, FUSERS[baseline.fuser])
        seconds += time.perf_counter() - started
        self._judge(baseline.name, fused, self.case.clean, seconds=seconds)

    def _judge(self, name: str, fused: Image, clean: Both, **more: Any) -> None:
        """Score an image and keep it; ``more`` is what else its `Entry` holds."""
        try:
            triple = Triple.of(self._of(clean), luma8(fused))
        except DrfuseError as error:
            self.failures.append(failure(self.case.name, name, error))
            return
        if self.setting.images is not None:
            write_image(self.setting.images / name / f"{self.case.name}.png", fused)
        unscored = Unscored(Entry(name, self.case.name, {}, **more), triple)
        if self.setting.metrics_device is None:
            self.entries.append(unscored.score(self.setting.metrics))
        else:
            self.unscored.append(unscored)

    def _of(self, clean: Both) -> Sources:
        """The sources for scoring; methods whose images have one size share them."""
        size = size_of(clean[0])
        if size not in self._sources:
            a, b = (luma8(image) for image in clean)
            self._sources[size] = Sources.of(a, b, self.setting.metrics_device)
        return self._sources[size]

    def _restore(self, name: str) -> tuple[Both, float]:
        if name not in self._restored:
            started = time.perf_counter()
            first, second = (
                RESTORERS[name](image, degradation, size_of(self.case.clean[0]))
                for image, degradation in zip(
                    self.case.degraded, self.case.degradations, strict=True
                )
            )
            self._restored[name] = (first, second), time.perf_counter() - started
        return self._restored[name]

    def _psnr(self, sources: Both) -> Psnr:
        first, second = (
            psnr(luma8(image), luma8(clean))
            for image, clean in zip(sources, self.case.clean, strict=True)
        )
        return _finite(first), _finite(second)

    def _write(self, kind: str, images: Both) -> None:
        if self.setting.images is not None:
            for number, image in enumerate(images, 1):
                folder = self.setting.images / f"{kind}{number}"
                write_image(folder / f"{self.case.name}.png", image)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
