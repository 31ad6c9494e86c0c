"""A batch from plan to summary: what is left to do, doing it, and what became of it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from drfuse_cli.batch.journal import (
    Journal,
    Line,
    Lines,
    Record,
    journals,
    read_lines,
    shard_files,
    write_lines,
)
from drfuse_cli.batch.pipeline import Outcome, Stop, fuse_all, in_order
from drfuse_cli.batch.plan import MANIFEST, SUMMARY, Plan, Work
from drfuse_cli.batch.recipe import Recipe, is_done
from drfuse_cli.batch.summary import Failure, Summary, read_seconds, write_summary
from drfuse_cli.engine import Engine
from drfuse_cli.errors import DrfuseError

Existing = Literal["refuse", "resume", "skip", "overwrite"]
"""What to do with files that an earlier run has left."""

_TEMPORARY = re.compile(r"\.drfuse-[0-9a-f]{16}\.tmp")
_STALE = 60.0
"""Seconds after which no write that goes on can be as old."""


class Spread(Protocol):
    """Fuses pairs elsewhere, as `fuse_all` does here."""

    def __call__(
        self,
        work: Iterable[Work],
        *,
        journal: Record,
        stop: Stop,
        tell: Callable[[Outcome], None],
    ) -> None: ...


@dataclass(frozen=True)
class Todo:
    """The pairs that are left, the lines of the others, and the names of those skipped."""

    work: tuple[Work, ...]
    keep: Lines
    skipped: frozenset[str] = frozenset()


def find_todo(plan: Plan, recipe: Recipe, existing: Existing, workers: int) -> Todo:
    """What an earlier run has left to do; changes nothing.

    Raises ``DrfuseError`` where the run to resume had other settings.
    """
    if existing == "resume":
        return _after_earlier(plan, recipe, workers)
    if existing == "skip":
        there = frozenset(work.name for work in plan.work if work.fused.exists())
        lines = read_lines(journals(plan.folder))
        left = tuple(work for work in plan.work if work.name not in there)
        keep = {name: line for name, line in lines.items() if name in there}
        return Todo(left, keep, there)
    return Todo(plan.work, {})


def _after_earlier(plan: Plan, recipe: Recipe, workers: int) -> Todo:
    lines = read_lines(journals(plan.folder))

    def done(work: Work) -> bool:
        line = lines.get(work.name)
        if line is None or line.failed:
            return False
        document = line.document()
        recipe.check(document, line.path)
        return is_done(work, document)

    with ThreadPoolExecutor(workers) as pool:
        found = list(in_order(pool, done, plan.work, lambda: 4 * workers))
    left = tuple(work for work, is_there in zip(plan.work, found, strict=True) if not is_there)
    gone = {work.name for work in left}
    mine = {work.name for work in plan.work} - gone
    return Todo(left, {name: line for name, line in lines.items() if name in mine})


def run_batch(
    plan: Plan,
    todo: Todo,
    recipe: Recipe,
    engine: Engine | Spread,
    *,
    existing: Existing,
    workers: int,
    batch: int | None,
    stop: Stop,
    tell: Callable[[Outcome], None],
    started: float,
) -> Summary:
    """Do what is left, and write the manifest and the summary, however it ends.

    ``started`` is the time of ``time.perf_counter`` from which the run counts. Raises
    ``DrfuseError`` where nothing can be written any more.
    """
    if existing == "resume":
        _sweep(plan.work, plan.folder, _STALE if plan.shard else 0)
    plan.summary.unlink(missing_ok=True)
    fused = 0

    def count(outcome: Outcome) -> None:
        nonlocal fused
        fused += outcome.error is None
        tell(outcome)

    try:
        with Journal(plan.manifest, _sorted(todo.keep, plan)) as journal:
            if existing == "overwrite" and plan.shard is None:
                _remove(shard_files(plan.folder))
            fuse = engine if callable(engine) else partial(
                fuse_all, recipe=recipe, engine=engine, workers=workers, batch=batch
            )  # fmt: skip
            fuse(todo.work, journal=journal, stop=stop, tell=count)
    except BaseException:
        # The first failure is the one to tell of; on a full disk this cannot but fail too.
        with suppress(Exception):
            # Workers elsewhere were perhaps stopped in the middle of a file.
            _sweep(plan.work, plan.folder, _STALE if plan.shard else 0)
            _close(plan, todo.skipped, fused, time.perf_counter() - started)
        raise
    summary = _close(plan, todo.skipped, fused, time.perf_counter() - started)
    if not stop.asked:
        _join_shards(plan, recipe)
    return summary


def _close(plan: Plan, skipped: frozenset[str], fused: int, seconds: float) -> Summary:
    """Put the manifest in order; then write the summary, which says that the run is over."""
    lines = read_lines([plan.manifest])
    summary = Summary(
        pairs=len(plan.work),
        done=sum(not line.failed for name, line in lines.items() if name not in skipped),
        failures=_failures(lines, plan),
        skipped=len(skipped),
        seconds=seconds,
        fused=fused,
        shard=str(plan.shard) if plan.shard else None,
    )
    write_lines(plan.manifest, _sorted(lines, plan))
    write_summary(plan.summary, summary)
    return summary


def _failures(lines: Lines, plan: Plan) -> tuple[Failure, ...]:
    failed = ((name, lines[name]) for name in plan.names if name in lines)
    return tuple(Failure(name, line.document()["error"]) for name, line in failed if line.failed)


def _sorted(lines: Lines, plan: Plan) -> Iterator[Line]:
    return (lines[name] for name in plan.names if name in lines)


# ---- shards -----------------------------------------------------------------------------------


def _join_shards(plan: Plan, recipe: Recipe) -> None:
    """Leave one manifest and one summary where all pairs are spoken of; see `journal`."""
    parts = shard_files(plan.folder)
    if not parts:
        return
    try:
        if plan.shard is not None and not _write_whole(plan, recipe, parts):
            return
        _remove(parts)
        _sweep(plan.work, plan.folder, 0)
    except DrfuseError:
        if shard_files(plan.folder):  # else another shard was faster
            raise


def _write_whole(plan: Plan, recipe: Recipe, parts: list[Path]) -> bool:
    """Write the manifest and the summary of all shards, once none of them is at work."""
    names = {path.name for path in parts}
    manifests = {name for name in names if name.startswith("manifest.")}
    at_work = {name.replace("manifest.", "summary.")[:-1] for name in manifests} - names
    lines = {
        name: line
        for name, line in read_lines(journals(plan.folder)).items()
        if recipe.difference(line.document()) is None
    }
    if at_work or not all(name in lines for name in plan.names):
        return False
    failures = _failures(lines, plan)
    done = len(plan.names) - len(failures)
    seconds = sum(read_seconds(plan.folder / name) for name in names - manifests)
    write_lines(plan.folder / MANIFEST, _sorted(lines, plan))
    write_summary(plan.folder / SUMMARY, Summary(len(plan.names), done, failures, 0, seconds, done))
    return True


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


# ---- what a killed run leaves -------------------------------------------------------------------


def _sweep(work: Iterable[Work], folder: Path, age: float) -> None:
    """Remove temporary files of at least this age, in seconds, from the folders of a run."""
    folders = dict.fromkeys([folder, *(path.parent for one in work for path in one.files)])
    latest = time.time() - age
    for place in folders:
        with suppress(OSError):
            for entry in os.scandir(place):
                if _TEMPORARY.fullmatch(entry.name) and entry.stat().st_mtime <= latest:
                    os.unlink(entry)
