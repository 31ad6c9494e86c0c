"""Stages of a pipeline that keep their order, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")

_PATIENCE = 0.1


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def ahead(items: Iterable[T], size: int) -> Generator[T]:
    """The same items, made in a thread that is at most ``size`` further than their reader.

    What making them raises is raised here. Closing this iterator ends the thread, and closes
    ``items`` there if it is a generator.
    """
    made: Queue[T | _End] = Queue(size)
    over = threading.Event()

    def put(item: T | _End) -> None:
        while not over.is_set():
            try:
                made.put(item, timeout=_PATIENCE)
                return
            except Full:
                continue

    def make() -> None:
        end = _End()
        try:
            for item in items:
                put(item)
                if over.is_set():
                    break
        except BaseException as error:
            end = _End(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        put(end)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = made.get(timeout=_PATIENCE)  # lets Ctrl-C through everywhere
            except Empty:
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        over.set()
        thread.join()
