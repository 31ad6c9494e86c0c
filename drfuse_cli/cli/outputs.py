"""Everything about output files that can go wrong is found before the work starts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from drfuse_cli.errors import DrfuseError, ExitCode

_LONGEST_NAME = 255


def check_outputs(
    outputs: Iterable[Path], inputs: Iterable[Path], *, overwrite: bool = False
) -> None:
    """Refuse output files that would clash, overwrite, or cannot be written.

    Raises ``DrfuseError`` where an output is also an input or named twice, is a folder, exists
    (without ``overwrite``), or lies where nothing can be written.
    """
    files = list(outputs)
    _refuse_repeats(files)
    _refuse_inputs(files, list(inputs))
    for path in files:
        _check_name(path)
    if not overwrite:
        _refuse_existing(files)
    for folder in dict.fromkeys(path.parent for path in files):
        _check_writable(folder)


def _refuse_repeats(files: list[Path]) -> None:
    seen: set[str] = set()
    for path in files:
        real = os.path.realpath(path)
        if real in seen:
            raise DrfuseError(
                "two outputs would have this name", hint="Write to another folder.", path=path
            )
        seen.add(real)


def _refuse_inputs(files: list[Path], inputs: list[Path]) -> None:
    for path in files:
        if any(_is_same(path, other) for other in inputs):
            raise DrfuseError(
                "this output is also an input", hint="Choose another name with -o.", path=path
            )


def _is_same(path: Path, other: Path) -> bool:
    """One file under two names; also by a hard link, or where case does not matter."""
    if os.path.exists(path) and os.path.exists(other):
        return os.path.samefile(path, other)
    return os.path.realpath(path) == os.path.realpath(other)


def _check_name(path: Path) -> None:
    if os.path.isdir(path):
        hint = f"Name a file in it, such as {path / 'fused.png'}."
        raise DrfuseError("is a folder, not a file name", hint=hint, path=path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise DrfuseError("is not a regular file", hint="Choose another name.", path=path)
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise DrfuseError("the name is too long", hint="Use a shorter name.", path=path)


def _refuse_existing(files: list[Path]) -> None:
    there = [path for path in files if os.path.lexists(path)]
    if there:
        more = f", and {len(there) - 1} more outputs" if len(there) > 1 else ""
        raise DrfuseError(
            f"already exists{more}",
            hint="Choose another name with -o, or add --overwrite.",
            path=there[0],
        )


def _check_writable(folder: Path) -> None:
    """Try it in the nearest folder that exists; missing ones are made when writing."""
    nearest = next((p for p in (folder, *folder.parents) if os.path.exists(p)), folder)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except NotADirectoryError:
        raise DrfuseError(
            "a file stands where a folder is needed", hint="Choose another name.", path=nearest
        ) from None
    except OSError as error:
        raise DrfuseError(
            f"nothing can be written in this folder: {error.strerror}",
            hint="Write to another folder.",
            path=folder,
            code=ExitCode.ENVIRONMENT,
        ) from error
