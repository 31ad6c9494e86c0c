"""``manifest.jsonl``: a line for every pair as soon as its files are in place.

While a run goes on, lines are appended as pairs are done, each in one piece; at its end the file
is written anew in natural order. Of several lines about a pair the last counts. What a crash left
half written is no line.

Every shard of a run has a journal of its own, ``manifest.2-of-4.jsonl``. Whichever run finds
that together they speak of every pair, the last shard usually, writes ``manifest.jsonl`` and
``summary.json`` in their place, so that shards leave the files of a single run. A run of the
whole set with ``--resume`` does so too, from whatever shards have left in the folder.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from drfuse_cli.batch.plan import MANIFEST
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import write_bytes, write_error
from drfuse_cli.report.sidecar import SCHEMA

_SHARD = re.compile(r"(manifest|summary)\.[0-9]+-of-[0-9]+\.jsonl?")


@dataclass(frozen=True)
class Line:
    """Where the line of a pair stands; its content stays in the file."""

    path: Path
    start: int
    length: int
    failed: bool

    def read(self) -> bytes:
        """The line with its end."""
        with self.path.open("rb") as stream:
            stream.seek(self.start)
            return stream.read(self.length)

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.read())
        return found


Lines = dict[str, Line]
"""By the name of the pair."""


class Record(Protocol):
    """Takes the lines of pairs, from any thread."""

    def add(self, document: Mapping[str, Any]) -> None: ...


class Journal:
    """An open journal; lines may come from any thread."""

    def __init__(self, path: Path, keep: Iterable[Line] = ()) -> None:
        """Start a journal with the lines to keep, which may be its own earlier ones.

        Raises ``DrfuseError`` where it cannot be written.
        """
        self.path = path
        write_lines(path, keep)
        self._lock = threading.Lock()
        # Unbuffered: a line is with the system or nowhere.
        self._stream = path.open("ab", buffering=0)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._stream.close()

    def add(self, document: Mapping[str, Any]) -> None:
        """Append a line, whole or not at all; raises ``DrfuseError`` where the disk is full."""
        line = json.dumps(document, allow_nan=False).encode() + b"\n"
        with self._lock:
            before = os.fstat(self._stream.fileno()).st_size
            try:
                while line:
                    line = line[self._stream.write(line) :]
            except OSError as error:
                os.ftruncate(self._stream.fileno(), before)
                raise write_error(self.path, error) from error


def write_lines(path: Path, lines: Iterable[Line]) -> None:
    write_bytes(path, (line.read() for line in lines))


def shard_files(folder: Path) -> list[Path]:
    """The manifests and summaries of shards that lie in a folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _SHARD.fullmatch(path.name))


def journals(folder: Path) -> list[Path]:
    """Every manifest in a folder; those of shards last."""
    shards = [path for path in shard_files(folder) if path.name.startswith("manifest.")]
    return [path for path in (folder / MANIFEST, *shards) if path.exists()]


def read_lines(paths: Iterable[Path]) -> Lines:
    """The last line about every pair.

    Raises ``DrfuseError`` for a file that cannot be read, or is no manifest.
    """
    return {name: line for path in paths for name, line in _scan(path)}


def _scan(path: Path) -> Iterator[tuple[str, Line]]:
    found, start = 0, 0
    try:
        with path.open("rb") as stream:
            for raw in stream:
                document = _parse(raw)
                if document is not None:
                    found += 1
                    yield document["name"], Line(path, start, len(raw), "error" in document)
                start += len(raw)
                if found == 0 and raw.endswith(b"\n"):
                    raise DrfuseError(
                        "is no manifest of drfuse batch",
                        hint="Start anew with --overwrite, or choose another folder.",
                        path=path,
                    )
    except FileNotFoundError:
        return
    except OSError as error:
        raise DrfuseError(
            f"cannot be read: {error.strerror}", path=path, code=ExitCode.ENVIRONMENT
        ) from error


def _parse(raw: bytes) -> dict[str, Any] | None:
    """A whole line about a pair."""
    if not raw.endswith(b"\n"):
        return None
    try:
        document = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return None
    return document if isinstance(document.get("name"), str) else None
