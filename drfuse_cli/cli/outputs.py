"""Output files: what they are called, and whatever can go wrong, found before the work starts."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drfuse_cli.cli import console
from drfuse_cli.errors import DrfuseError, ExitCode

_LONGEST_NAME = 255


def check_outputs(
    outputs: Iterable[Path],
    inputs: Iterable[Path],
    *,
    overwrite: bool = False,
    remedy: str = "Choose another name with -o, or add --overwrite.",
    touch: bool = True,
) -> None:
    """Refuse output files that would clash, overwrite, or cannot be written.

    Raises ``DrfuseError`` where an output is also an input or named twice, is a folder, lies
    under another output, exists (without ``overwrite``; ``remedy`` is the hint), or lies where
    nothing can be written; ``touch`` allows to try the last.
    """
    files = list(outputs)
    _refuse_repeats(files)
    _refuse_inputs(files, inputs)
    folders = list(dict.fromkeys(path.parent for path in files))
    _refuse_nesting(files, folders)
    for path in files:
        _check_name(path)
    if not overwrite:
        _refuse_existing(files, remedy)
    if touch:
        for nearest, folder in {_nearest(folder): folder for folder in folders}.items():
            _check_writable(nearest, folder)


def free_space(folder: Path) -> int:
    """Bytes that can be written in a folder, which need not exist yet."""
    return shutil.disk_usage(_nearest(folder)).free


def _refuse_repeats(files: list[Path]) -> None:
    seen: set[str] = set()
    for path in files:
        real = os.path.realpath(path)
        if real in seen:
            raise DrfuseError(
                "two outputs would have this name", hint="Write to another folder.", path=path
            )
        seen.add(real)


def _refuse_inputs(files: list[Path], inputs: Iterable[Path]) -> None:
    taken = {_identity(path) for path in inputs}
    for path in files:
        if _identity(path) in taken:
            raise DrfuseError(
                "this output is also an input", hint="Choose another name with -o.", path=path
            )


def _identity(path: Path) -> object:
    """The same for one file under two names, a hard link, or another case where none matters."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _refuse_nesting(files: list[Path], folders: list[Path]) -> None:
    above = {path for folder in folders for path in (folder, *folder.parents)}
    for path in files:
        if path in above:
            raise DrfuseError(
                "is one output and the folder of another", hint="Rename one pair.", path=path
            )


def _check_name(path: Path) -> None:
    if os.path.isdir(path):
        hint = f"Name a file in it, such as {path / 'fused.png'}."
        raise DrfuseError("is a folder, not a file name", hint=hint, path=path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise DrfuseError("is not a regular file", hint="Choose another name.", path=path)
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise DrfuseError("the name is too long", hint="Use a shorter name.", path=path)


def _refuse_existing(files: list[Path], remedy: str) -> None:
    there = [path for path in files if os.path.lexists(path)]
    if there:
        more = f", and {len(there) - 1} more outputs" if len(there) > 1 else ""
        raise DrfuseError(f"already exists{more}", hint=remedy, path=there[0])


def _nearest(folder: Path) -> Path:
    """The nearest folder that exists; missing ones are made when writing."""
    return next((p for p in (folder, *folder.parents) if os.path.exists(p)), folder)


def _check_writable(nearest: Path, folder: Path) -> None:
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


# ---- names ------------------------------------------------------------------------------------


def fused_path(output: str) -> Path | None:
    """Where an ordinary image goes, None for stdout; raises ``DrfuseError`` for other names."""
    from drfuse_cli.imageio import check_suffix

    if output == "-":
        if console.stdout_is_terminal():
            raise DrfuseError(
                "a PNG cannot be shown on the terminal", hint="Redirect it: drfuse ... > out.png"
            )
        return None
    path = Path(output)
    if not path.name or path.name == ".." or os.path.isdir(path):
        raise DrfuseError(
            "is a folder, not a file name", hint="Name a file in it: -o DIR/fused.png", path=output
        )
    check_suffix(path.suffix, path=output)
    return path


def inside(folder: str | None, names: list[str]) -> tuple[Path, ...]:
    """The names in a folder; none where there is no folder."""
    return () if folder is None else tuple(Path(folder) / name for name in names)


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a sidecar."""
    from drfuse_cli.imageio import write_bytes

    write_bytes(path, json.dumps(document, indent=2, allow_nan=False).encode() + b"\n")
