"""Files before anyone parses them."""

from __future__ import annotations

import hashlib
import os
import stat

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import max_pixels, too_large


def digest(path: str) -> str:
    """The SHA-256 of a regular file; raises ``DrfuseError`` where it cannot be read."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise DrfuseError("is not a regular file", path=path)
        if status.st_size == 0:
            raise DrfuseError("is empty", hint="Copy or export the file again.", path=path)
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DrfuseError("no such file", hint="Check the path.", path=path) from error
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise DrfuseError(reason, path=path, code=ExitCode.ENVIRONMENT) from error


def check_plane(rows: int, columns: int, path: str) -> None:
    """Raise ``DrfuseError`` where one slice has more pixels than an image may have."""
    if rows * columns > max_pixels():
        raise too_large(path, max_pixels())


def damaged(path: str, what: str, reason: str) -> DrfuseError:
    return DrfuseError(
        f"is no {what} file, or a damaged one ({reason})",
        hint="Copy or export the file again.",
        path=path,
    )
