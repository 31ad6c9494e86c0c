"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio.image import StrPath


def write_bytes(path: StrPath, data: bytes | Iterable[bytes]) -> None:
    """Replace a file by new content in one step, so that no reader ever sees half of it.

    ``data`` may come in pieces. Raises ``DrfuseError`` as `replacing` does.
    """
    with replacing(path) as temporary, open(temporary, "xb") as stream:
        stream.writelines([data] if isinstance(data, bytes) else data)


@contextmanager
def replacing(path: StrPath) -> Iterator[Path]:
    """A name beside ``path`` for a new file, which takes its place if all goes well.

    It is removed otherwise. Missing folders are made; a symbolic link is replaced, not followed.
    Raises ``DrfuseError`` with the code for the environment where the disk is full, read-only
    or failing.
    """
    target = Path(path)
    if os.path.isdir(target):
        raise DrfuseError("is a folder, not a file name", path=os.fspath(path))
    if os.path.exists(target) and not os.path.isfile(target):
        raise DrfuseError("is not a regular file", path=os.fspath(path))
    temporary = target.with_name(f".drfuse-{secrets.token_hex(8)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "r+b") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise write_error(path, error) from error
        raise


def write_error(path: StrPath, error: OSError) -> DrfuseError:
    """What to tell the user where a file cannot be written."""
    code, hint = ExitCode.ENVIRONMENT, "Write to another folder."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        message, hint = "the disk is full", "Free some space, or write to another disk."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        message = "no permission to write here"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        message, code = "a file stands where a folder is needed", ExitCode.USAGE
    elif error.errno == errno.ENAMETOOLONG:
        message, hint, code = "the name is too long", "Use a shorter name.", ExitCode.USAGE
    else:
        message = f"cannot be written ({error.strerror or error})"
    return DrfuseError(message, hint=hint, path=os.fspath(path), code=code)
