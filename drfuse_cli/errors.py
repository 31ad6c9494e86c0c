"""The one error a user can see, and the exit codes scripts rely on."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Process exit codes; part of the command-line contract."""

    OK = 0
    FAILED = 1
    USAGE = 2
    WEIGHTS = 3
    ENVIRONMENT = 4
    INTERRUPTED = 130
    TERMINATED = 143


class DrfuseError(Exception):
    """What went wrong, on which file, and what to do next.

    Raised by every layer for a mistake the user can mend; the command line turns it
    into one message and the exit code it carries.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        path: str | Path | None = None,
        code: ExitCode = ExitCode.USAGE,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = None if path is None else str(path)
        self.code = code

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        then = f"\n  {self.hint}" if self.hint else ""
        return f"{where}{self.message}{then}"
