"""The ``drfuse`` command: its sub-commands, and the one funnel that every failure goes through."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from drfuse_cli import __version__
from drfuse_cli.cli import console
from drfuse_cli.cli.batch import batch
from drfuse_cli.cli.bench import bench
from drfuse_cli.cli.calibrate import calibrate
from drfuse_cli.cli.degrade import degrade
from drfuse_cli.cli.demo import demo
from drfuse_cli.cli.doctor import doctor
from drfuse_cli.cli.eval import evaluate
from drfuse_cli.cli.fuse import fuse
from drfuse_cli.cli.inspect import inspect
from drfuse_cli.cli.train import train
from drfuse_cli.cli.weights import weights_app
from drfuse_cli.errors import DrfuseError, ExitCode

app = typer.Typer(
    name="drfuse",
    help="Fuse two degraded views of one scene into one clean image.",
    epilog="Exit codes: 0 all well, 1 failed, 2 usage, 3 weights, 4 environment.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (fuse, batch, evaluate, inspect, calibrate, degrade, train, demo, bench, doctor):
    app.command("eval" if _command is evaluate else None)(_command)
app.add_typer(weights_app, name="weights")

# Typer carries its own copy of click, older releases depend on it: reach both the same way.
_UsageError, _ClickException = typer.BadParameter.__mro__[1:3]

_ENVIRONMENT_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.ENOMEM, errno.EMFILE, errno.ENFILE,
}  # fmt: skip


def _show_version(asked: bool) -> None:
    if asked:
        console.result(f"drfuse {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; DRFUSE_DEBUG=1 does the same.")
    ] = False,
) -> None:
    """Fuse two degraded views of one scene into one clean image."""


def main() -> None:
    """Entry point: runs the command line and leaves with its exit code."""
    code = run(sys.argv[1:])
    # Libraries take a moment to leave: Ctrl-C then ends them, and not with a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; what goes wrong becomes a message."""
    console.make_streams_safe()
    rest, debug = _take_debug(arguments)
    try:
        with _terminable():
            code = app(rest, prog_name="drfuse", standalone_mode=False)
            if code == ExitCode.INTERRUPTED:
                raise KeyboardInterrupt
            return int(code or 0)
    except BaseException as problem:
        if debug and not isinstance(problem, SystemExit):
            console.report_traceback()
        return _explain(problem)


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without ``--debug``, which may stand anywhere, and whether it was asked."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    rest = [word for word in arguments[:end] if word != "--debug"]
    asked = os.environ.get("DRFUSE_DEBUG", "").lower() not in {"", "0", "false", "no"}
    return [*rest, *arguments[end:]], asked or len(rest) < end


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that unfinished files are removed on the way out."""

    def leave(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(ExitCode.TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _explain(problem: BaseException) -> int:
    """Print what happened and return the exit code for it."""
    if isinstance(problem, SystemExit):
        return _leave(problem)
    if isinstance(problem, DrfuseError):
        console.error(problem)
        return problem.code
    if isinstance(problem, _ClickException):
        return _explain_usage(problem)
    if isinstance(problem, KeyboardInterrupt | typer.Abort):
        console.failure("interrupted")
        return ExitCode.INTERRUPTED
    return _explain_unforeseen(problem)


def _leave(problem: SystemExit) -> int:
    code = problem.code if isinstance(problem.code, int) else int(problem.code is not None)
    if code == ExitCode.TERMINATED:
        console.failure("terminated")
    return code


def _explain_usage(problem: BaseException) -> int:
    message = getattr(problem, "format_message", lambda: str(problem))()
    context = getattr(problem, "ctx", None)
    if message:  # a command without arguments has shown its help instead
        command = context.command_path if context is not None else "drfuse"
        text = message.replace("Value error, ", "").rstrip(".")
        console.failure(text, f"See {command} --help.")
    return ExitCode.USAGE


def _explain_unforeseen(problem: BaseException) -> int:
    if _is_out_of_memory(problem):
        console.failure("not enough memory", "Give a smaller --tile, or close other programs.")
        return ExitCode.ENVIRONMENT
    if isinstance(problem, OSError) and problem.errno in _ENVIRONMENT_ERRORS:
        where = f"{problem.filename}: " if problem.filename else ""
        console.failure(f"{where}{problem.strerror}", "Check the disk, permissions and limits.")
        return ExitCode.ENVIRONMENT
    console.failure(
        f"internal error: {type(problem).__name__}: {problem}", "Run again with --debug for more."
    )
    return ExitCode.FAILED


def _is_out_of_memory(problem: BaseException) -> bool:
    # By name, so that a failure before torch is loaded does not load it.
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return True
    text = str(problem).lower()
    return isinstance(problem, RuntimeError) and (
        "can't allocate memory" in text or "out of memory" in text
    )
