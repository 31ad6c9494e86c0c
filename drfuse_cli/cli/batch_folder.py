"""A folder of pairs fused: checked, run, interrupted gently, and told about."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from drfuse_cli.cli import console
from drfuse_cli.cli import profile as rigs
from drfuse_cli.cli.loading import load_engine
from drfuse_cli.cli.outputs import check_outputs, free_space
from drfuse_cli.config import Agc, Destripe, Fit, FuseOptions, Pair
from drfuse_cli.degradations import Mode, describe
from drfuse_cli.errors import DrfuseError, ExitCode

if TYPE_CHECKING:
    from drfuse_cli.batch.cluster import Cluster
    from drfuse_cli.batch.pipeline import Outcome, Stop
    from drfuse_cli.batch.plan import Plan
    from drfuse_cli.batch.recipe import Recipe
    from drfuse_cli.batch.run import Existing, Spread, Todo
    from drfuse_cli.batch.summary import Summary
    from drfuse_cli.engine import Engine
    from drfuse_cli.sources import Assumptions

SCHEMA = "drfuse.batch.plan/1"

_REMEDY = (
    "Choose another folder with -o, go on with --resume, keep what is there with "
    "--skip-existing, or replace it with --overwrite."
)


@dataclass(frozen=True)
class FolderRequest:
    """Everything the flags ask for; ``started`` is when they did.

    ``frames``: the pairs whose settings are to be the same, those of other shards included.
    """

    options: FuseOptions
    mode: Mode
    said: rigs.Chosen
    agc: Agc
    destripe: Destripe
    fit: Fit
    plan: Plan
    frames: tuple[Pair, ...]
    existing: Existing
    batch_size: int | None
    workers: int | None
    fail_fast: bool
    started: float

    @property
    def threads(self) -> int:
        from drfuse_cli.evaluation.pool import processors

        return self.workers or processors()


def fuse_folder(request: FolderRequest, ray: str | None, dry_run: bool, as_json: bool) -> None:
    """Fuse what is to be done, or say what that is.

    ``ray``: the address of a cluster, empty for one on this machine, None for none.
    Raises ``DrfuseError`` for outputs that cannot be written and where pairs failed.
    """
    _check(request, touch=not dry_run)
    with _cluster(request, ray) if ray is not None else nullcontext() as cluster:
        ready = _prepare(request, cluster)
        if dry_run:
            _show_plan(request, ready, as_json)
        else:
            _run(request, ready, as_json)


# ---- checks -----------------------------------------------------------------------------------


def _check(request: FolderRequest, *, touch: bool) -> None:
    """Raise for outputs that cannot be written; warn where the disk may become full."""
    from drfuse_cli.batch.journal import journals, shard_files

    plan = request.plan
    run = [plan.manifest, plan.summary]
    if plan.shard is None:
        run += [*journals(plan.folder), *shard_files(plan.folder)]
    inputs = [path for work in plan.work for path in work.sources]
    check_outputs(
        [*(path for work in plan.work for path in work.files), *dict.fromkeys(run)],
        [*inputs, *(Path(file) for file in request.said.overrides.psf if file)],
        overwrite=request.existing != "refuse",
        remedy=_REMEDY,
        touch=touch,
    )
    _check_space(plan)


def _check_space(plan: Plan) -> None:
    # PNG files of fused images are about as large as the larger source.
    needed = sum(max(_size(path) for path in work.sources) for work in plan.work)
    free = free_space(plan.folder)
    if not free:
        raise DrfuseError(
            "the disk is full",
            hint="Free some space, or write to another disk.",
            path=plan.folder,
            code=ExitCode.ENVIRONMENT,
        )
    if free < needed:
        console.warn(f"{plan.folder}: {free >> 20} MiB are free; {needed >> 20} may be needed")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # said when it is read
        return 0


# ---- running ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ready:
    """What is known once the network is loaded and earlier results are looked at."""

    recipe: Recipe
    engine: Engine | Spread
    todo: Todo


@contextmanager
def _cluster(request: FolderRequest, address: str | None) -> Iterator[Cluster]:
    from drfuse_cli.batch.cluster import connect
    from drfuse_cli.evaluation.pool import processors

    joining = connect(address or None, request.options.device, request.workers, processors())
    with ExitStack() as stack:
        with console.working("connecting to Ray" if address else "starting Ray"):
            cluster = stack.enter_context(joining)
        each = "GPU" if cluster.gpus else "core"
        console.note(f"Ray: {cluster.workers} workers, a {each} each")
        yield cluster


def _prepare(request: FolderRequest, cluster: Cluster | None) -> _Ready:
    from drfuse_cli.batch.recipe import Recipe
    from drfuse_cli.batch.run import find_todo
    from drfuse_cli.sources import Assumptions
    from drfuse_cli.weights import load_weights

    chosen = request.options
    told = Assumptions(
        chosen.task,
        request.mode,
        request.said.overrides,
        register=request.said.register,
        agc=request.agc,
        destripe=request.destripe,
        fit=request.fit,
        rig=request.said.rig,
    )
    if request.frames:
        told = _settle(told, request.frames)
    with console.working("loading the network"):
        engine: Engine | Spread
        if cluster is None:
            weights, engine = load_engine(chosen)
            recipe = Recipe(told, chosen, weights, str(engine.device), engine.precision)
        else:
            weights = load_weights(chosen.weights, chosen.task, chosen.method)
            precision = cluster.precision(chosen.precision)
            recipe = Recipe(told, chosen, weights, cluster.device, precision)
            engine = cluster.spread(recipe, request.plan, request.batch_size)
        recipe.check_files()
    for warning in weights.warnings:
        console.warn(warning)
    with console.working("looking at what is there"):
        todo = find_todo(request.plan, recipe, request.existing, request.threads)
    return _Ready(recipe, engine, todo)


def _settle(told: Assumptions, frames: tuple[Pair, ...]) -> Assumptions:
    from drfuse_cli.sequence.frames import settled

    with console.working("looking at the sequence"):
        told = settled(told, frames)
    for number, levels in enumerate(told.levels or (), 1):
        if levels is not None:
            console.note(f"source {number} of every frame: {levels.describe()}")
    if told.stripes is not None:
        console.note(f"source 1 of every frame: {told.stripes.describe()}")
    for number, assumed in enumerate(told.settled or (), 1):
        console.note(f"source {number} of every frame: {describe(assumed)}")
    return told


def _run(request: FolderRequest, ready: _Ready, as_json: bool) -> None:
    summary, interrupted = _fuse(request, ready)
    plan = request.plan
    console.note(
        f"{summary.done} done, {len(summary.failures)} failed, {summary.skipped} skipped "
        f"of {summary.pairs} in {console.duration(summary.seconds)} "
        f"({summary.rate:.2g} pairs/s)"
    )
    if as_json:
        console.document(summary.document())
    elif not interrupted:
        console.result(str(plan.folder))
    if interrupted:
        raise KeyboardInterrupt
    if summary.failures:
        raise DrfuseError(
            f"{len(summary.failures)} of {summary.pairs} pairs failed",
            hint="They are named above; --resume tries them again.",
            code=ExitCode.FAILED,
        )


def _fuse(request: FolderRequest, ready: _Ready) -> tuple[Summary, bool]:
    """How it ended, and whether it was interrupted."""
    from drfuse_cli.batch.pipeline import Stop
    from drfuse_cli.batch.run import run_batch

    stop, total = Stop(), len(ready.todo.work)
    with _interruptible(stop) as interrupted, console.counting("fusing", total) as count:
        tell = _Teller(count, stop, request.fail_fast)
        summary = run_batch(
            request.plan,
            ready.todo,
            ready.recipe,
            ready.engine,
            existing=request.existing,
            workers=request.threads,
            batch=request.batch_size,
            stop=stop,
            tell=tell,
            started=request.started,
        )
    if tell.doubtful:
        manifest = request.plan.manifest.name
        console.warn(f"{tell.doubtful} of {total} pairs have warnings; see {manifest}")
    return summary, interrupted()


class _Teller:
    """Hears of every pair: counts, names those that fail, and stops at one where asked to."""

    def __init__(self, count: Callable[[], None], stop: Stop, fail_fast: bool) -> None:
        self.count, self.stop, self.fail_fast = count, stop, fail_fast
        self.doubtful = 0

    def __call__(self, outcome: Outcome) -> None:
        self.count()
        self.doubtful += outcome.doubtful
        if outcome.error is not None:
            console.warn(f"{outcome.work.name} failed: {outcome.error}")
            self.stop.asked = self.stop.asked or self.fail_fast


@contextmanager
def _interruptible(stop: Stop) -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C stop gently and the second at once; gives whether there was one."""
    asked = False

    def ask(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = stop.asked = True
        console.note_at_once("finishing what has begun; Ctrl-C again stops at once")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


# ---- telling what would be done -----------------------------------------------------------------


def _show_plan(request: FolderRequest, ready: _Ready, as_json: bool) -> None:
    plan, todo = request.plan, ready.todo
    pairs = [
        {
            "name": work.name,
            "source1": str(work.sources[0]),
            "source2": str(work.sources[1]),
            "output": str(work.fused),
        }
        for work in todo.work
    ]
    left_out = len(plan.work) - len(todo.work)
    noun = "pair" if len(pairs) == 1 else "pairs"
    console.note(f"{len(pairs)} {noun} to fuse, {left_out} left out; nothing was written")
    if as_json:
        console.document({"schema": SCHEMA, "pairs": pairs, "left_out": left_out})
        return
    for pair in pairs:
        console.result(f"{pair['source1']} + {pair['source2']} -> {pair['output']}")
