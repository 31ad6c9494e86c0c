"""Which pairs a run works on, and the files that each of them makes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from drfuse_cli.batch.pairs_csv import read_pairs
from drfuse_cli.config import Pair, Task
from drfuse_cli.errors import DrfuseError
from drfuse_cli.pairs import Roles, find_pairs, role_folders

MANIFEST, SUMMARY = "manifest.jsonl", "summary.json"


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``count``, from 1: every ``count``-th pair in natural order."""

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> Shard:
        """From ``I/N``; raises ``DrfuseError`` for anything else."""
        parts = text.split("/")
        if len(parts) == 2 and all(part.isascii() and part.isdecimal() for part in parts):
            number, count = map(int, parts)
            if 1 <= number <= count:
                return cls(number, count)
        raise DrfuseError(
            f"--shard is {text!r}", hint="Give part I of N, such as --shard 1/4 to --shard 4/4."
        )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of_all(self, pairs: Sequence[Pair]) -> Sequence[Pair]:
        return pairs[self.number - 1 :: self.count]

    def name(self, file: str) -> str:
        """``manifest.2-of-4.jsonl`` for ``manifest.jsonl``."""
        stem, _, suffix = file.partition(".")
        return f"{stem}.{self.number}-of-{self.count}.{suffix}"


@dataclass(frozen=True)
class Work:
    """One pair and its files: the fused image, the restored sources, the explanations."""

    name: str
    sources: tuple[Path, Path]
    fused: Path
    restored: tuple[Path, ...] = ()
    explained: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """In the order of writing: where the fused image stands, the rest does too."""
        return *self.restored, *self.explained, self.fused


@dataclass(frozen=True)
class Outputs:
    """The folders that results go to, and the files of one explanation."""

    folder: Path
    sources: Path | None = None
    explain: Path | None = None
    explanations: tuple[str, ...] = ()

    @property
    def folders(self) -> list[Path]:
        return [path for path in (self.folder, self.sources, self.explain) if path is not None]

    def work(self, pair: Pair) -> Work:
        restored = explained = ()  # type: tuple[Path, ...]
        if self.sources is not None:
            folders = (self.sources / "source1", self.sources / "source2")
            restored = tuple(folder / f"{pair.name}.png" for folder in folders)
        if self.explain is not None:
            explained = tuple(self.explain / pair.name / name for name in self.explanations)
        fused = self.folder / f"{pair.name}.png"
        return Work(pair.name, (pair.source1, pair.source2), fused, restored, explained)


@dataclass(frozen=True)
class Plan:
    """The work of one run, in natural order, and the names of all pairs, its shard's or not."""

    work: tuple[Work, ...]
    names: tuple[str, ...]
    folder: Path
    shard: Shard | None = None

    @property
    def manifest(self) -> Path:
        return self._file(MANIFEST)

    @property
    def summary(self) -> Path:
        return self._file(SUMMARY)

    def _file(self, name: str) -> Path:
        return self.folder / (self.shard.name(name) if self.shard else name)


def make_plan(pairs: Sequence[Pair], outputs: Outputs, shard: Shard | None = None) -> Plan:
    """The plan for all ``pairs``, or for a shard of them.

    Raises ``DrfuseError`` for a name that leads out of the output folder.
    """
    for pair in pairs:
        _check_name(pair)
    mine = shard.of_all(pairs) if shard else pairs
    names = tuple(pair.name for pair in pairs)
    return Plan(tuple(outputs.work(pair) for pair in mine), names, outputs.folder, shard)


def gather_pairs(
    root: Path | None,
    table: Path | None,
    task: Task,
    allow_unpaired: bool,
    outputs: Outputs,
    roles: Roles | None = None,
) -> list[Pair]:
    """The pairs of a table where there is one, otherwise those under ``root``.

    What lies in the folders of the outputs is no input. Raises ``DrfuseError`` as `find_pairs`
    and `read_pairs` do, and where a source folder is an output folder.
    """
    if table is not None:
        return read_pairs(table, allow_unpaired)
    if root is None:
        raise DrfuseError(
            "nothing says which pairs to fuse",
            hint="Give the folder that holds them, or --pairs FILE.csv.",
        )
    for number, folder in enumerate(role_folders(root, task, roles) or (), 1):
        if any(os.path.realpath(folder) == os.path.realpath(to) for to in outputs.folders):
            raise DrfuseError(
                f"results would go to the folder of source {number}",
                hint="Name another folder with -o.",
                path=folder,
            )
    # A file in the place of an output folder may well be an input: it is refused later.
    away = [path for path in outputs.folders if path.is_dir()]
    return find_pairs(root, task, allow_unpaired, away, roles)


def _check_name(pair: Pair) -> None:
    name = PurePosixPath(pair.name)
    plain = name.parts and "\0" not in pair.name and str(name) == pair.name
    if not plain or name.is_absolute() or ".." in name.parts:
        raise DrfuseError(
            f"{pair.name!r} cannot name a pair",
            hint="Names are relative paths inside the output folder, such as night/0001.",
            path=pair.source1,
        )
