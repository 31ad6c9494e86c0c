"""The only place that prints: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from drfuse_cli.errors import DrfuseError


_UNFOLDED = 1000
_SECONDS_BETWEEN_LINES = 30


def make_streams_safe() -> None:
    """Let file names that the terminal's encoding lacks print as escapes, not as a crash."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """The text with control characters and broken encodings shown as escapes."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in text
    )


def stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


# ---- results --------------------------------------------------------------------------------


def result(text: str) -> None:
    """One line of the result, on stdout."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def document(content: dict[str, Any], *, on_stderr: bool = False) -> None:
    """A JSON document: the result that scripts read."""
    stream = sys.stderr if on_stderr else sys.stdout
    stream.write(json.dumps(content, indent=2, allow_nan=False) + "\n")
    stream.flush()


def binary(data: bytes) -> None:
    """Bytes on stdout, and nothing else."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def stdout_is_terminal() -> bool:
    return sys.stdout.isatty()


Styled = str | tuple[str, str]
"""Text, or text and how rich shows it on a terminal."""


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Styled]], words: int = 1
) -> None:
    """A table on stdout: first so many columns of words, then columns of figures.

    It folds to the width of a terminal; elsewhere it is as wide as it needs to be.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=Text(title), title_justify="left", title_style="bold")
    for i, name in enumerate(columns):
        grid.add_column(Text(name), justify="left" if i < words else "right", overflow="fold")
    for row in rows:
        cells = ((cell, "") if isinstance(cell, str) else cell for cell in row)
        grid.add_row(*(Text(printable(text), style) for text, style in cells))
    Console(highlight=False, width=None if stdout_is_terminal() else _UNFOLDED).print(grid)


# ---- everything else ------------------------------------------------------------------------


def note(text: str, over: Progress | None = None) -> None:
    """Something worth knowing, on stderr; above a progress bar where one is shown."""
    console = stderr() if over is None else over.console
    console.print(printable(text))


def note_at_once(text: str) -> None:
    """As `note`, from a signal handler: the streams may be in the middle of something."""
    with suppress(OSError):
        os.write(2, f"{printable(text)}\n".encode(errors="backslashreplace"))


def warn(text: str) -> None:
    _labelled("warning", "yellow", text)


def error(problem: DrfuseError) -> None:
    """What went wrong, and on a second line what to do next."""
    where = f"{problem.path}: " if problem.path else ""
    failure(f"{where}{problem.message}", problem.hint)


def failure(message: str, hint: str | None = None) -> None:
    _labelled("error", "red", message)
    if hint:
        stderr().print(f"  {printable(hint)}")


def report_traceback() -> None:
    """The traceback of the exception being handled, for ``--debug``."""
    for line in traceback.format_exc().splitlines():
        stderr().print(printable(line))


def _labelled(label: str, style: str, text: str) -> None:
    from rich.text import Text

    stderr().print(Text.assemble((f"{label}: ", f"bold {style}"), printable(text)))


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner while something runs, on a terminal only."""
    console = stderr()
    if not console.is_terminal:
        yield
        return
    from rich.text import Text

    with console.status(Text(what)):
        yield


@contextmanager
def progress(*, counted: bool = True) -> Iterator[Progress]:
    """A progress bar on stderr, on a terminal only; ``counted`` adds M/N and the time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = stderr()
    columns = [TextColumn("{task.description}", markup=False), BarColumn()]
    counts = [MofNCompleteColumn(), Remaining()] if counted else []
    with Progress(
        *columns, *counts, console=console, disable=not console.is_terminal, transient=True
    ) as bar:
        yield bar


@contextmanager
def counting(what: str, total: int, unit: str = "pairs") -> Iterator[Callable[[], None]]:
    """Progress over ``total`` pairs, or what else is the unit; call what it gives after each.

    A bar with their rate and the time left on a terminal, now and then a line elsewhere.
    """
    started = told = time.monotonic()
    done = 0
    with progress() as bar:
        task = bar.add_task(what, total=total)

        def advance() -> None:
            nonlocal done, told
            done += 1
            now = time.monotonic()
            rate = done / max(now - started, 1e-9)
            bar.update(task, advance=1, description=f"{what}, {rate:.2g} {unit}/s")
            if bar.disable and done < total and now - told > _SECONDS_BETWEEN_LINES:
                told = now
                left = duration((total - done) / rate)
                note(f"{done} of {total} {unit}, {rate:.2g} {unit}/s, {left} left")

        yield advance


def duration(seconds: float) -> str:
    """``48 s``, ``12 min`` or ``3 h 05 min``; a question mark where it is not known."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
