"""``scores.jsonl``: every score as soon as it is known, so that a long run can be resumed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import write_bytes
from drfuse_cli.metrics import Score

SCHEMA = "drfuse.eval.journal/1"
NAME = "scores.jsonl"


@dataclass(frozen=True)
class Entry:
    """What is known of one method, or of one way to restore, on one pair.

    ``psnr`` is the luma PSNR in dB of both restored sources where the method restores,
    ``None`` in it stands for equal images; ``cropped`` says from which size to which the
    sources were cut.
    """

    name: str
    pair: str
    scores: dict[str, Score]
    seconds: float | None = None
    psnr: tuple[float | None, float | None] | None = None
    cropped: str | None = None
    warnings: tuple[str, ...] = ()


class Journal:
    """An open journal; also a context manager that closes it."""

    def __init__(self, path: Path, settings: Mapping[str, Any], resume: bool = False) -> None:
        """Start a journal, or go on with one whose settings are the same.

        A line that is half written is left out. Raises ``DrfuseError`` naming the first
        setting that differs, or where the file is no journal.
        """
        self._found: dict[tuple[str, str], tuple[str, Entry]] = {}
        lines = [_line({"schema": SCHEMA, "settings": dict(settings)})]
        if resume and path.exists():
            kept = _read(path)
            _check_header(kept[:1], settings, path)
            for document in kept[1:]:
                entry = _entry(document)
                self._found[entry.name, entry.pair] = document["stamp"], entry
            lines += [_line(document) for document in kept[1:]]
        write_bytes(path, "".join(lines).encode())
        self._stream = path.open("a", encoding="ascii")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()

    def find(self, name: str, pair: str, stamp: str) -> Entry | None:
        """What an earlier run found out from the same files."""
        known, entry = self._found.get((name, pair), ("", None))
        return entry if known == stamp else None

    def add(self, entry: Entry, stamp: str) -> None:
        """Write one entry, at once."""
        self._stream.write(_line(_document(entry, stamp)))
        self._stream.flush()


def stamp(files: Iterable[Path]) -> str:
    """Changes with the size or the time of any of the files."""
    parts = []
    for path in files:
        try:
            status = path.stat()
            parts.append(f"{status.st_size}.{status.st_mtime_ns}")
        except OSError:
            parts.append("gone")
    return "-".join(parts)


def _line(document: Mapping[str, Any]) -> str:
    return json.dumps(document, allow_nan=False) + "\n"


def _document(entry: Entry, stamp: str) -> dict[str, Any]:
    return {
        "name": entry.name,
        "pair": entry.pair,
        "scores": {name: [score.value, score.reason] for name, score in entry.scores.items()},
        "seconds": entry.seconds,
        "psnr": entry.psnr,
        "cropped": entry.cropped,
        "warnings": entry.warnings,
        "stamp": stamp,
    }


def _entry(document: dict[str, Any]) -> Entry:
    psnr = document["psnr"]
    return Entry(
        document["name"],
        document["pair"],
        {name: Score(*score) for name, score in document["scores"].items()},
        document["seconds"],
        None if psnr is None else (psnr[0], psnr[1]),
        document["cropped"],
        tuple(document["warnings"]),
    )


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DrfuseError(f"cannot be read: {error.strerror}", path=path) from error
    found = []
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            found.append(document)
    return found


def _check_header(header: list[dict[str, Any]], settings: Mapping[str, Any], path: Path) -> None:
    if not header or header[0].get("schema") != SCHEMA:
        raise DrfuseError(
            "is no journal of drfuse eval",
            hint="Start anew with --overwrite, or choose another folder.",
            path=path,
        )
    # Through JSON and back, so that tuples equal the lists they were written as.
    wanted, earlier = json.loads(_line(settings)), header[0].get("settings", {})
    for name in dict.fromkeys([*wanted, *earlier]):
        if wanted.get(name) != earlier.get(name):
            raise DrfuseError(
                f"the run to resume had another {name}: "
                f"{json.dumps(earlier.get(name))}, now {json.dumps(wanted.get(name))}",
                hint="Give the same settings, or start anew with --overwrite.",
                path=path,
            )
