"""The bytes of a weights file: safetensors only, the header checked before the tensors."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from drfuse_cli.errors import DrfuseError, ExitCode

SCHEMA = "drfuse.weights/1"
METADATA_KEY = "drfuse"
MAX_HEADER_BYTES = 4 << 20
MADE_BY_DRFUSE = "drfuse loads the .safetensors files that `drfuse train` writes."

COPY_AGAIN = "Copy or fetch it again."
DTYPES = ("F16", "BF16", "F32")
_PICKLE_SUFFIXES = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle"}
_DISGUISES = {
    b"PK\x03\x04": "a zip archive (PyTorch's pickle format)",
    **{bytes((0x80, protocol)): "a Python pickle" for protocol in range(2, 6)},
    b"version ": "a Git LFS pointer, not the file itself",
    b"<": "a web page",
}


@dataclass(frozen=True)
class Header:
    """Names, shapes and types of the tensors, and what drfuse wrote beside them."""

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, Any]
    file_bytes: int

    @property
    def parameters(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())


def refuse_suffix(path: Path, spec: str | None = None) -> None:
    """Refuse by name what is not safetensors, before a byte of it is read."""
    suffix = path.suffix.lower()
    if suffix in _PICKLE_SUFFIXES:
        raise weights_error(
            f"{suffix} files are pickles, which can run code when opened; it was not read",
            spec or path,
            "Convert it to .safetensors where it was made, with the architecture in its metadata.",
        )
    if suffix != ".safetensors":
        raise weights_error("this is not a .safetensors file", spec or path, MADE_BY_DRFUSE)


def open_weights(path: Path) -> BinaryIO:
    """Open for reading; a refusal of the system names the file."""
    try:
        return path.open("rb")
    except OSError as error:
        raise weights_error(f"cannot be read: {error.strerror}", path) from error


def read_header(handle: BinaryIO, path: Path) -> Header:
    """Parse and check the header of an open file; the tensors themselves are not read."""
    size = os.fstat(handle.fileno()).st_size
    length = _header_length(handle.read(9), size, path)
    handle.seek(8)
    tensors = parse_object(handle.read(length), "the header", path)
    named = tensors.pop("__metadata__", None)
    metadata = _parse_metadata(named.get(METADATA_KEY) if isinstance(named, dict) else None, path)
    try:
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in tensors.items()}
        dtypes = {name: str(entry["dtype"]) for name, entry in tensors.items()}
        data_bytes = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise weights_error("this is not a valid safetensors header", path) from error
    other = sorted(set(dtypes.values()) - set(DTYPES))
    if other:
        message = f"tensors of type {shortly(other)}; only {', '.join(DTYPES)} are read"
        raise weights_error(message, path)
    surplus = size - 8 - length - data_bytes
    if surplus:
        state = f"{-surplus} bytes are missing" if surplus < 0 else f"{surplus} bytes too many"
        raise weights_error(f"the file is truncated or damaged: {state}", path, COPY_AGAIN)
    return Header(shapes, dtypes, metadata, size)


def _header_length(start: bytes, size: int, path: Path) -> int:
    """The length of the JSON header, from the first nine bytes of a file of ``size`` bytes."""
    if size < 9:
        state = "truncated" if size else "empty"
        raise weights_error(f"the file is {state}: {size} bytes", path, COPY_AGAIN)
    length = int.from_bytes(start[:8], "little")
    # A header of 640 bytes begins as a pickle does: accuse only what cannot be a header.
    if length > MAX_HEADER_BYTES or start[8:] != b"{":
        for magic, kind in _DISGUISES.items():
            if start.startswith(magic):
                raise weights_error(f"this is {kind}; it was not loaded", path, MADE_BY_DRFUSE)
        why = "absurdly long" if length > MAX_HEADER_BYTES else "not JSON"
        message = f"not safetensors: a header of {length} bytes is {why}"
        raise weights_error(message, path, MADE_BY_DRFUSE)
    if 8 + length > size:
        message = f"truncated: the header has {length} bytes, only {size - 8} are there"
        raise weights_error(message, path, COPY_AGAIN)
    return length


def _parse_metadata(text: object, path: Path) -> dict[str, Any]:
    if not isinstance(text, str):
        raise weights_error("the file does not say which network it is for", path, MADE_BY_DRFUSE)
    metadata = parse_object(text, "the drfuse metadata", path)
    schema = metadata.get("schema")
    if schema != SCHEMA:
        raise weights_error(f"schema {schema!r} is not {SCHEMA!r}", path, "Try a newer drfuse.")
    for key, kind in (("task", str), ("method", str), ("architecture", dict)):
        if not isinstance(metadata.get(key), kind):
            raise weights_error(f"the drfuse metadata has no {key}", path, MADE_BY_DRFUSE)
    return metadata


def parse_object(text: str | bytes, what: str, path: Path) -> dict[str, Any]:
    """A JSON object from a file that may be damaged."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise weights_error(f"{what} is not JSON: the file is damaged", path) from error
    if not isinstance(document, dict):
        raise weights_error(f"{what} is not a JSON object", path)
    return document


def file_sha256(path: Path) -> str:
    """The sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with open_weights(path) as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def shortly(names: Sequence[str], limit: int = 3) -> str:
    """The first names, quoted (they come from a file), and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(repr(name[:80]) for name in names[:limit]) + more


def weights_error(message: str, path: str | Path | None, hint: str | None = None) -> DrfuseError:
    """The error of everything that touches weights, with its exit code."""
    return DrfuseError(message, hint=hint, path=path, code=ExitCode.WEIGHTS)
