"""Folders of fused images from any method: by name, never by position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.evaluation.cases import Both, crop, cropped, in_words, size_of
from drfuse_cli.imageio import Image
from drfuse_cli.pairs import is_image, natural_key

_LISTED = 20  # names in one message

Folders = dict[str, dict[str, Path]]
"""By method, by pair: the fused image."""


def named_folders(texts: Iterable[str], taken: Iterable[str]) -> dict[str, Path]:
    """The folders of ``--fused``, by method: ``NAME=DIR``, or ``DIR`` which lends its name.

    Raises ``DrfuseError`` for a folder that is missing, and a name that repeats another or
    one of ``taken``, or that cannot name a folder of images; case does not tell names apart.
    """
    found: dict[str, Path] = {}
    known = {name.casefold() for name in taken}
    for text in texts:
        name, folder = _named_folder(text)
        if name.casefold() in known:
            raise DrfuseError(
                f"two methods would be called {name!r}",
                hint="Give the folder another name: --fused NAME=DIR.",
                path=folder,
            )
        known.add(name.casefold())
        found[name] = folder
    return found


def _named_folder(text: str) -> tuple[str, Path]:
    name, equals, rest = text.partition("=")
    if not equals or Path(text).is_dir():
        name, rest = Path(text).resolve().name, text
    folder = Path(rest)
    if not folder.is_dir():
        message = "is not a folder" if folder.exists() else "no such folder"
        raise DrfuseError(message, hint="--fused takes a folder of fused images.", path=folder)
    if not name.strip() or name in {".", ".."} or any(c in name for c in "/\\\0:"):
        raise DrfuseError(
            f"{name!r} cannot name a method",
            hint="Give a plain word: --fused NAME=DIR.",
            path=folder,
        )
    return name, folder


def find_fused(folder: Path) -> dict[str, Path]:
    """The images under a folder by their relative path without suffix; hidden files left out.

    Raises ``DrfuseError`` for an empty folder, and two files of one stem.
    """
    found: dict[str, Path] = {}
    try:
        files = sorted(path for path in folder.rglob("*") if is_image(path) and path.is_file())
    except OSError as error:
        raise DrfuseError(
            f"this folder cannot be read: {error.strerror}",
            path=folder,
            code=ExitCode.ENVIRONMENT,
        ) from error
    for path in files:
        relative = path.relative_to(folder)
        if any(part.startswith(".") for part in relative.parts):
            continue
        stem = relative.with_suffix("").as_posix()
        if stem in found:
            raise DrfuseError(
                f"two fused images of one pair: {found[stem].name} and {path.name}",
                hint="Keep one file of each.",
                path=folder,
            )
        found[stem] = path
    if not found:
        raise DrfuseError(
            "holds no fused images", hint="Give the folder that the images lie in.", path=folder
        )
    return found


def pair_up(
    folders: dict[str, Path], pairs: Sequence[str], allow_unpaired: bool = False
) -> tuple[Folders, list[str]]:
    """The fused images of every method by pair, and the pairs that all methods have.

    Raises ``DrfuseError`` that lists the names where a pair has no fused image or an image no
    pair (unless ``allow_unpaired``), and where nothing is common to all.
    """
    found = {name: find_fused(folder) for name, folder in folders.items()}
    if not allow_unpaired:
        for name, files in found.items():
            _refuse_unpaired(folders[name], files, pairs)
    common = [pair for pair in pairs if all(pair in files for files in found.values())]
    if not common:
        raise DrfuseError(
            f"no pair has an image in {' and '.join(str(folder) for folder in folders.values())}",
            hint=f"Fused images are matched by name; the first pair is {pairs[0]!r}."
            if pairs
            else None,
        )
    return {name: {pair: files[pair] for pair in common} for name, files in found.items()}, common


def _refuse_unpaired(folder: Path, files: dict[str, Path], pairs: Sequence[str]) -> None:
    missing, extra = set(pairs) - set(files), set(files) - set(pairs)
    if not (missing or extra):
        return
    parts = [f"no fused image for {_listing(missing)}"] if missing else []
    parts += [f"no clean pair for {_listing(extra)}"] if extra else []
    raise DrfuseError(
        "; ".join(parts),
        hint="Fused images need the names of their pairs; --allow-unpaired scores the common ones.",
        path=folder,
    )


def _listing(names: Iterable[str]) -> str:
    ordered = sorted(names, key=natural_key)
    more = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return ", ".join(ordered[:_LISTED]) + more


def sources_for(fused: Image, whole: Both, factors: Iterable[int]) -> tuple[Both, str | None]:
    """The clean sources at the size of a fused image, and a note where they had to be cropped.

    A fused image may be cut at the bottom and right to multiples of one of ``factors``, as it
    is where its sources were pooled. Raises ``DrfuseError`` for any other size.
    """
    if size_of(fused) == size_of(whole[0]):
        return whole, None
    if size_of(fused) in {cropped(size_of(whole[0]), factor) for factor in factors}:
        return crop(whole, size_of(fused)), f"{in_words(whole[0])} to {in_words(fused)}"
    raise DrfuseError(
        f"the fused image is {in_words(fused)}, its sources are {in_words(whole[0])}",
        hint="Score images of the size of their sources; nothing is resized.",
        path=fused.path,
    )
