"""Work spread over processes that leave no trace: not of themselves, not in the order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from drfuse_cli.errors import DrfuseError, ExitCode

J = TypeVar("J")
R = TypeVar("R")

_THREADS = "OMP_NUM_THREADS"


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(work: Callable[[J], R], jobs: Iterable[J], workers: int) -> Generator[R]:
    """The results of all jobs as they come; in this process where there is one worker.

    Jobs are taken from the iterable as workers become free. Raises what ``work`` raises, and
    ``DrfuseError`` where a worker was killed; the others are then stopped.
    """
    if workers <= 1:
        yield from map(work, jobs)
        return
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    with (
        _single_threaded(),
        ProcessPoolExecutor(workers, mp_context=context, initializer=_start) as pool,
    ):
        try:
            yield from _results(pool, work, jobs, workers)
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise DrfuseError(
                    "a worker process was killed",
                    hint="Perhaps memory ran out: give fewer --workers.",
                    code=ExitCode.ENVIRONMENT,
                ) from error
            raise


def _results(
    pool: ProcessPoolExecutor, work: Callable[[J], R], jobs: Iterable[J], workers: int
) -> Iterator[R]:
    waiting: set[Future[R]] = set()
    for job in jobs:
        waiting.add(pool.submit(work, job))
        full = len(waiting) >= 2 * workers
        done, waiting = wait(waiting, None if full else 0, FIRST_COMPLETED)
        yield from (future.result() for future in done)
    while waiting:
        done, waiting = wait(waiting, None, FIRST_COMPLETED)
        yield from (future.result() for future in done)


def _start() -> None:
    """In a worker: leave Ctrl-C to the parent, stay on one core, and end with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes started meanwhile read this before they load their libraries."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before
