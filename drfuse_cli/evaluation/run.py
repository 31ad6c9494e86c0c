"""An evaluation from plan to results: every pair, every method, resumed where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from drfuse_cli.config import Task
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.baselines import Baseline
from drfuse_cli.evaluation.cases import Case, CleanPair, make_case
from drfuse_cli.evaluation.jobs import Job, NetworkResult, Outcome, Setting, failure, run_job
from drfuse_cli.evaluation.journal import Entry, Journal, stamp
from drfuse_cli.evaluation.pool import spread
from drfuse_cli.evaluation.results import (
    Evaluation,
    Failure,
    MethodScores,
    PairScores,
    Restoration,
    mean,
)
from drfuse_cli.evaluation.scored import Folders
from drfuse_cli.imageio import Image
from drfuse_cli.metrics import resolve

if TYPE_CHECKING:
    from drfuse_cli.config import Degradation
    from drfuse_cli.engine import FuseResult

Fuse = Callable[[Image, Image, tuple["Degradation", "Degradation"]], "FuseResult"]


@dataclass(frozen=True)
class Plan:
    """What is evaluated, on what, and by which methods.

    ``network`` is the name under which the network is reported, None where it does not run;
    ``restorers`` are those whose sources are compared with the clean ones; ``settings`` is
    what the results depend on beyond the rest, ready for JSON.
    """

    task: Task
    dataset: str
    degrade: str | None
    pairs: tuple[CleanPair, ...]
    setting: Setting
    network: str | None = None
    fused: Folders = field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()
    restorers: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of all methods, in the order of the report."""
        network = [self.network] if self.network else []
        return (*network, *self.fused, *(baseline.name for baseline in self.baselines))

    @property
    def wanted(self) -> tuple[str, ...]:
        """What there is to find out about every pair."""
        return (*self.methods, *self.restorers)

    def stamp(self, name: str, pair: CleanPair) -> str:
        """Changes with the files that a result depends on."""
        files = [*(pair.files or ()), *filter(None, [self.fused.get(name, {}).get(pair.name)])]
        return stamp(files)


def evaluate(
    plan: Plan,
    fuse: Fuse | None = None,
    *,
    journal: Journal | None = None,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Run a plan; ``fuse`` is the network where the plan has one.

    The network runs in this process, and so do metrics on a GPU: it is claimed by one process.
    Everything else runs in ``workers`` processes. Results do not depend on their number, nor on
    what a journal knows already. ``advance`` is called once for every pair.
    """
    run = _Run(plan, fuse, journal, advance)
    with closing(spread(run_job, run.jobs(), min(workers, len(plan.pairs)))) as outcomes:
        for outcome in outcomes:
            run.keep(outcome)
    return run.evaluation()


class _Run:
    def __init__(
        self,
        plan: Plan,
        fuse: Fuse | None,
        journal: Journal | None,
        advance: Callable[[], None],
    ) -> None:
        self.plan, self.fuse, self.journal, self.advance = plan, fuse, journal, advance
        self.pairs = {pair.name: pair for pair in plan.pairs}
        self.entries: dict[tuple[str, str], Entry] = {}
        self.failures: list[Failure] = []

    def jobs(self) -> Iterator[Job]:
        """What is left to do, pair by pair; the network has run where it had to."""
        for pair in self.plan.pairs:
            todo = self._todo(pair)
            job = self._job(pair, todo) if todo else None
            if job is None:
                self.advance()
            else:
                yield job

    def _todo(self, pair: CleanPair) -> set[str]:
        """What no journal knows of a pair."""
        if self.journal is not None:
            for name in self.plan.wanted:
                entry = self.journal.find(name, pair.name, self.plan.stamp(name, pair))
                if entry is not None:
                    self.entries[name, pair.name] = entry
        return {name for name in self.plan.wanted if (name, pair.name) not in self.entries}

    def _job(self, pair: CleanPair, todo: set[str]) -> Job | None:
        plan = self.plan
        job = Job(
            pair,
            plan.setting,
            fused={name: files[pair.name] for name, files in plan.fused.items() if name in todo},
            baselines=tuple(baseline for baseline in plan.baselines if baseline.name in todo),
            restorers=tuple(name for name in plan.restorers if name in todo),
        )
        if plan.network not in todo:
            return job
        try:
            case = make_case(pair, plan.setting.degradations, plan.setting.seed)
        except DrfuseError as error:
            self.failures.append(failure(pair.name, None, error))
            return None
        return replace(job, case=case, network=self._network(case))

    def _network(self, case: Case) -> NetworkResult | None:
        assert self.fuse is not None
        assert self.plan.network is not None
        try:
            result = self.fuse(*case.degraded, case.degradations)
        except DrfuseError as error:
            self.failures.append(failure(case.name, self.plan.network, error))
            return None
        return NetworkResult(
            self.plan.network,
            result.fused,
            result.sources,
            result.seconds,
            tuple(result.warnings),
        )

    def keep(self, outcome: Outcome) -> None:
        """Take in what a worker found out, scoring what it did not; write it down first."""
        scored = (unscored.score(self.plan.setting.metrics) for unscored in outcome.unscored)
        for entry in (*outcome.entries, *scored):
            if self.journal is not None:
                stamp = self.plan.stamp(entry.name, self.pairs[entry.pair])
                self.journal.add(entry, stamp)
            self.entries[entry.name, entry.pair] = entry
        self.failures += outcome.failures
        self.advance()

    # ---- results ------------------------------------------------------------------------------

    def evaluation(self) -> Evaluation:
        plan, order = self.plan, list(self.pairs)
        return Evaluation(
            task=plan.task,
            degrade=plan.degrade,
            dataset=plan.dataset,
            metrics=tuple(resolve(plan.setting.metrics)),
            methods=tuple(self._method(name) for name in plan.methods),
            warnings=tuple(dict.fromkeys([*plan.warnings, *self._warnings()])),
            failures=tuple(
                sorted(self.failures, key=lambda f: (order.index(f.pair), f.method or ""))
            ),
            pairs=tuple(order),
            restorations=tuple(self._restorations()),
            settings=plan.settings,
        )

    def _of(self, name: str) -> list[Entry]:
        """The entries of a method in the order of the pairs."""
        found = (self.entries.get((name, pair)) for pair in self.pairs)
        return [entry for entry in found if entry is not None]

    def _method(self, name: str) -> MethodScores:
        entries = self._of(name)
        ids = self.plan.setting.metrics
        return MethodScores(
            name,
            tuple(PairScores(e.pair, {i: e.scores[i] for i in ids}) for e in entries),
            mean(entry.seconds for entry in entries if entry.seconds is not None),
        )

    def _restorations(self) -> Iterator[Restoration]:
        network = [self.plan.network] if self.plan.network else []
        for name in (*self.plan.restorers, *network):
            pairs = {entry.pair: entry.psnr for entry in self._of(name) if entry.psnr is not None}
            if pairs:
                yield Restoration(name, pairs)

    def _warnings(self) -> Iterator[str]:
        for name in self.plan.methods:
            for entry in self._of(name):
                yield from entry.warnings
        for name in self.plan.fused:
            cut = [entry for entry in self._of(name) if entry.cropped]
            if cut:
                yield (
                    f"{name}: {len(cut)} of its images are smaller than their sources, which were "
                    f"cropped likewise at the bottom and right ({cut[0].pair}: {cut[0].cropped})"
                )
