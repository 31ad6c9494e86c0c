"""``--engine ray``: the same pipeline in many processes, on one machine or on many.

What travels is the names of files and lines of the manifest, never pixels: every worker reads
and writes files itself, a block of pairs at a time. A worker that dies takes no pair with it:
its block is begun again elsewhere, and what is left after that is tried pair by pair, so that
one pair that kills its worker fails alone.
"""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drfuse_cli import __version__
from drfuse_cli.batch.journal import Record
from drfuse_cli.batch.pipeline import Outcome, Stop, fuse_all
from drfuse_cli.batch.plan import Plan, Work
from drfuse_cli.batch.recipe import Recipe
from drfuse_cli.config import FuseOptions
from drfuse_cli.engine import Engine, Precision, choose_device, choose_precision
from drfuse_cli.errors import DrfuseError, ExitCode

_BLOCKS_PER_WORKER = 8
_BLOCK, _GPU_BLOCK = 16, 512
"""Pairs that a worker is sent at once, at most: some seconds of work."""
_TRIES = 2
"""How often a pair is begun with its block, and as often alone, before it is given up."""
_STORE_BYTES = 100_000_000
_POLL = 1.0
_REACHABLE = 5.0
_INSTALL = "Install it: pip install 'drfuse[ray]'"


# ---- finding workers --------------------------------------------------------------------------


@dataclass(frozen=True)
class Cluster:
    """Workers that Ray has for us: ``gpus`` says of what; ``threads`` that each may use."""

    workers: int
    gpus: bool
    threads: int
    here: bool

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"

    def precision(self, asked: str) -> Precision:
        """As a worker chooses it: this machine may have no GPU."""
        if not self.gpus:
            return choose_precision(choose_device("cpu"), asked)
        ray = _ray()
        found: Precision = ray.get(ray.remote(num_gpus=1)(_gpu_precision).remote(asked))
        return found

    def spread(self, recipe: Recipe, plan: Plan, batch: int | None) -> _Spread:
        """What fuses the pairs of a plan on these workers, for `run_batch`."""
        paths = [path for work in plan.work for path in (*work.sources, *work.files)]
        paths += [plan.folder, *(Path(psf) for psf in recipe.told.overrides.psf if psf)]
        job = _Job(
            recipe,
            replace(recipe.options, device=recipe.device, precision=_known(recipe.precision)),
            batch,
            self.threads,
            plan.manifest,
            None if all(path.is_absolute() for path in paths) else os.getcwd(),
        )
        return _Spread(self, job)


def _known(precision: str) -> Precision:
    return precision  # type: ignore[return-value]


def _gpu_precision(asked: str) -> Precision:
    return choose_precision(choose_device("cuda"), asked)


@contextmanager
def connect(address: str | None, device: str, workers: int | None, cores: int) -> Iterator[Cluster]:
    """Join the Ray at an address, or start one on ``cores`` of this machine for the time being.

    A Ray that this process has joined before is used as it is. Raises ``DrfuseError`` where Ray
    is not installed, does not answer, or has no worker for ``device``.
    """
    ray = _ray()
    if device not in ("auto", "cpu", "cuda"):
        raise DrfuseError(
            f"--device {device} does not go with --engine ray",
            hint="Ray hands out the GPUs: give auto, cpu or cuda.",
        )
    if ray.is_initialized():
        yield _look(ray, device, workers, here=False)
        return
    _start(ray, address, cores)
    try:
        yield _look(ray, device, workers, here=address is None)
    finally:
        ray.shutdown()


def _ray() -> Any:
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError as error:
        raise DrfuseError(
            f"--engine ray needs Ray Data, which cannot be imported ({error})",
            hint=_INSTALL,
            code=ExitCode.ENVIRONMENT,
        ) from error
    return ray


def _start(ray: Any, address: str | None, cores: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it writes to our stderr
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    local = {"num_cpus": cores, "include_dashboard": False, "object_store_memory": _STORE_BYTES}
    try:
        with _own_handlers():
            if address is None:
                ray.init(address="local", **quiet, **local)
            else:
                _check_reachable(address)
                ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError, SystemExit) as error:
        where = "on this machine" if address is None else f"at {address}"
        raise DrfuseError(
            f"Ray cannot be reached {where}: {error}",
            hint="ray status says what runs; ray start --head starts a cluster. Without "
            "--ray-address and RAY_ADDRESS, drfuse starts a Ray of its own.",
            code=ExitCode.ENVIRONMENT,
        ) from error


def _check_reachable(address: str) -> None:
    """Ray itself waits for minutes, and then leaves."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _REACHABLE).close()


@contextmanager
def _own_handlers() -> Iterator[None]:
    """Ray takes SIGTERM for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _look(ray: Any, device: str, workers: int | None, here: bool) -> Cluster:
    has = ray.cluster_resources()
    cores, gpus = int(has.get("CPU", 0)), int(has.get("GPU", 0))
    if device == "cuda" and not gpus:
        raise DrfuseError(
            "Ray knows of no GPU", hint="Give --device cpu.", code=ExitCode.ENVIRONMENT
        )
    on_gpus = bool(gpus) and device != "cpu"
    most = gpus if on_gpus else cores
    if not most:
        raise DrfuseError(
            "Ray has no processor to work on", hint="See ray status.", code=ExitCode.ENVIRONMENT
        )
    count = min(most, workers or most)
    return Cluster(count, on_gpus, max(1, cores // gpus) if on_gpus else 1, here)


# ---- in this process --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """What became of a pair, as a worker tells it; ``line`` is that of the manifest."""

    name: str
    line: Mapping[str, Any]
    error: str | None
    doubtful: bool


@dataclass(frozen=True)
class _Spread:
    cluster: Cluster
    job: _Job

    def __call__(
        self,
        work: Iterable[Work],
        *,
        journal: Record,
        stop: Stop,
        tell: Callable[[Outcome], None],
    ) -> None:
        left = {one.name: one for one in work}
        for block in dict.fromkeys((self._block(len(left)), 1)):
            for found in self._rounds(list(left.values()), block, stop):
                one = left.pop(found.name)
                journal.add(found.line)
                tell(Outcome(one, found.error, found.doubtful))
            if stop.asked:
                return
        for one in left.values():
            error = "every worker that began it died, perhaps for lack of memory"
            journal.add(self.job.recipe.failed(one, error))
            tell(Outcome(one, error))

    def _block(self, pairs: int) -> int:
        most = _GPU_BLOCK if self.cluster.gpus else _BLOCK
        return max(1, min(most, pairs // (_BLOCKS_PER_WORKER * self.cluster.workers)))

    def _rounds(self, work: Sequence[Work], block: int, stop: Stop) -> Iterator[_Found]:
        """What the workers find, as it comes; not of every pair where workers die."""
        if not work:
            return
        ray = _ray()
        try:
            with _hushed(), _stopper(ray, stop) as desk:
                for found in _loaded(self._dataset(ray, work, block, desk)):
                    if isinstance(found, DrfuseError):
                        raise found
                    yield found
        except BaseException as error:
            if self.cluster.here:
                ray.shutdown()  # nobody writes any more
            if isinstance(error, (ray.exceptions.RayError, ConnectionError)):
                raise DrfuseError(
                    f"Ray failed: {str(error).splitlines()[0]}",
                    hint="--resume goes on from here.",
                    code=ExitCode.ENVIRONMENT,
                ) from error
            raise

    def _dataset(self, ray: Any, work: Sequence[Work], block: int, desk: Any) -> Any:
        ray.data.DataContext.get_current().max_errored_blocks = -1  # the pairs are left
        items = [{"work": pickle.dumps(one)} for one in work]
        workers = self.cluster.workers
        return ray.data.from_items(items, override_num_blocks=-(-len(items) // block)).map_batches(
            _Worker,
            fn_constructor_args=(self.job, desk),
            batch_size=block,
            compute=ray.data.ActorPoolStrategy(
                min_size=1,  # so that one that was lost with its machine finds another place
                max_size=workers,
                initial_size=workers,
                max_tasks_in_flight_per_actor=1 if block == 1 else 2,
            ),
            num_cpus=1,
            num_gpus=1 if self.cluster.gpus else None,
        )


def _loaded(dataset: Any) -> Iterator[Any]:
    """What workers tell, at once: reading ahead would hold each block until the next is done."""
    for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from map(pickle.loads, table["found"].to_pylist())


@contextmanager
def _stopper(ray: Any, stop: Stop) -> Iterator[Any]:
    """A desk that the workers ask, which hears of it when this process is to stop."""
    desk = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Desk).remote()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_POLL / 5):
            if stop.asked:
                desk.stop.remote()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield desk
    finally:
        over.set()
        thread.join()


@contextmanager
def _hushed() -> Iterator[None]:
    """Ray's own words go to its log files; what it prints all the same leaves stdout alone."""
    context = importlib.import_module("ray.data").DataContext.get_current()
    context.enable_progress_bars = False
    handlers = [
        handler
        for handler in logging.getLogger("ray.data").handlers
        if isinstance(handler, logging.StreamHandler)
    ]
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)


# ---- in the workers ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    """All that a worker needs to know; ``folder`` is what relative paths start from."""

    recipe: Recipe
    options: FuseOptions
    batch: int | None
    threads: int
    manifest: Path
    folder: str | None
    version: str = __version__


class _Desk:
    """What all workers share: how often a pair was begun, and whether to stop."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.stopped = False

    def begin(self, names: Sequence[str]) -> bool:
        """Whether to go ahead: not after too many tries, nor when all is to stop."""
        self.begun.update(names)
        return not self.stopped and all(self.begun[name] <= _TRIES for name in names)

    def end(self, names: Sequence[str]) -> None:
        for name in names:
            del self.begun[name]

    def stop(self) -> None:
        self.stopped = True

    def is_stopped(self) -> bool:
        return self.stopped


class _Lines:
    """Takes the lines of a block, to be sent home."""

    def __init__(self) -> None:
        self.by_name: dict[str, Mapping[str, Any]] = {}

    def add(self, document: Mapping[str, Any]) -> None:
        self.by_name[document["name"]] = document


def _told(error: Exception) -> DrfuseError:
    if isinstance(error, DrfuseError):
        return error
    message = f"internal error in a worker: {type(error).__name__}: {error}"
    return DrfuseError(message, code=ExitCode.FAILED)


class _Worker:
    """In a process of its own: fuses the blocks it is sent and tells what became of the pairs."""

    def __init__(self, job: _Job, desk: Any) -> None:
        self.job, self.desk = job, desk
        self.engine: Engine | None = None
        self.stop = Stop()
        threading.Thread(target=self._watch, daemon=True).start()

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[bytes]]:
        work = [pickle.loads(one) for one in rows["work"]]
        try:
            found: Sequence[object] = self._fuse(work)
        except Exception as error:  # stops the run, as it would at home
            found = [_told(error)]
        return {"found": [pickle.dumps(one) for one in found]}

    def _fuse(self, work: Sequence[Work]) -> list[_Found]:
        names = [one.name for one in work]
        if not self._ask("begin", names):
            return []
        if self.engine is None:
            self._settle()
            self.engine = Engine(self.job.recipe.weights, self.job.options)
        lines, outcomes = _Lines(), list[Outcome]()
        fuse_all(
            work, self.job.recipe, self.engine, lines, workers=self.job.threads,
            batch=self.job.batch, stop=self.stop, tell=outcomes.append,
        )  # fmt: skip
        self.desk.end.remote(names)
        return [
            _Found(one.work.name, lines.by_name[one.work.name], one.error, one.doubtful)
            for one in outcomes
        ]

    def _settle(self) -> None:
        """Stand where the command was given; raise ``DrfuseError`` where that cannot be."""
        machine = socket.gethostname()
        if self.job.version != __version__:
            raise DrfuseError(
                f"{machine} has drfuse {__version__}, this is {self.job.version}",
                hint="Install one version on every machine of the cluster.",
                code=ExitCode.ENVIRONMENT,
            )
        try:
            os.chdir(self.job.folder or ".")
            self.job.manifest.stat()
        except OSError as error:
            raise DrfuseError(
                f"not to be seen from {machine}: {error.strerror}",
                hint="All machines need the same folders under the same names, as on a shared "
                "file system. --shard I/N needs no cluster.",
                path=error.filename,
                code=ExitCode.ENVIRONMENT,
            ) from error

    def _ask(self, question: str, *given: Any) -> Any:
        return _ray().get(getattr(self.desk, question).remote(*given))

    def _watch(self) -> None:
        with suppress(Exception):  # the desk is gone: so is the run
            while not self.stop.asked:
                time.sleep(_POLL)
                self.stop.asked = self._ask("is_stopped")
