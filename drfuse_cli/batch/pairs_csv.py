"""Pairs from a table: ``source1,source2`` and perhaps ``name``, relative to the table."""

from __future__ import annotations

import csv
from pathlib import Path

from drfuse_cli.config import Pair
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.pairs import natural_key

_COLUMNS = ("source1", "source2")
_LISTED = 20


def read_pairs(path: Path, allow_unpaired: bool = False) -> list[Pair]:
    """The pairs of a CSV file in natural order of their names.

    The first row names the columns; others than ``name``, ``source1`` and ``source2`` are left
    alone. Without a name a pair is called by the stem of source 1. Raises ``DrfuseError`` for a
    file that is no such table, names that come twice, and images that are not there (unless
    ``allow_unpaired``, which skips their rows).
    """
    pairs = [_pair(row, number, path) for number, row in _rows(path)]
    absent = {pair.name: file for pair in pairs for file in _files(pair) if not file.is_file()}
    if absent and not allow_unpaired:
        raise DrfuseError(
            f"no such file: {_listing([str(file) for file in absent.values()])}",
            hint="Paths are relative to the table. --allow-unpaired skips such rows.",
            path=path,
        )
    pairs = [pair for pair in pairs if pair.name not in absent]
    _refuse_repeats(pairs, path)
    if not pairs:
        raise DrfuseError("holds no pairs", hint="Give a row for each pair.", path=path)
    return sorted(pairs, key=lambda pair: natural_key(pair.name))


def _files(pair: Pair) -> tuple[Path, Path]:
    return pair.source1, pair.source2


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Rows that are not empty, with their line numbers."""
    try:
        # File names need not be valid in any encoding.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DrfuseError(
                    f"has no column {' and no column '.join(missing)}",
                    hint="Its first line reads name,source1,source2 or source1,source2.",
                    path=path,
                )
            return [(reader.line_num, row) for row in reader if any(row.values())]
    except csv.Error as error:
        raise DrfuseError(f"is no CSV table ({error})", path=path) from error
    except FileNotFoundError:
        raise DrfuseError("no such file", hint="Check the path.", path=path) from None
    except OSError as error:
        raise DrfuseError(
            f"cannot be read: {error.strerror}", path=path, code=ExitCode.ENVIRONMENT
        ) from error


def _pair(row: dict[str, str], number: int, path: Path) -> Pair:
    empty = [name for name in _COLUMNS if not row.get(name)]
    if empty:
        raise DrfuseError(f"line {number} has no {' and no '.join(empty)}", path=path)
    first, second = (path.parent / row[name] for name in _COLUMNS)
    return Pair(row.get("name") or first.stem, first, second)


def _refuse_repeats(pairs: list[Pair], path: Path) -> None:
    seen: set[str] = set()
    twice = [pair.name for pair in pairs if pair.name in seen or seen.add(pair.name)]  # type: ignore[func-returns-value]
    if twice:
        raise DrfuseError(
            f"several pairs have one name: {_listing(twice)}",
            hint="Add a column name that tells them apart.",
            path=path,
        )


def _listing(names: list[str]) -> str:
    ordered = sorted(set(names), key=natural_key)
    more = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return ", ".join(ordered[:_LISTED]) + more
