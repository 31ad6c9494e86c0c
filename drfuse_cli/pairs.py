"""Find the pairs of files that saw the same scene: by name, never by position."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from drfuse_cli.config import Pair
from drfuse_cli.errors import DrfuseError, ExitCode

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts"}
    | {".wmv", ".ogv", ".y4m"}
)

# Folder names, and suffixes of file names, of source 1 and source 2; compared in any case.
ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ivif": (("ir", "infrared", "thermal", "lwir"), ("vis", "vi", "visible", "rgb")),
    "medical": (("mri", "ct"), ("pet", "spect", "mri")),
    "multifocus": (("near", "a", "1"), ("far", "b", "2")),
}

_LISTED = 20  # names in one message

Roles = tuple[str, str]
"""What a user calls source 1 and source 2."""
Files = dict[str, list[Path]]
Scenes = dict[str, tuple[list[Path], list[Path]]]
"""By scene name: the files that claim to be source 1, and those that claim to be source 2."""


def find_pairs(
    root: Path,
    task: str,
    allow_unpaired: bool = False,
    leave_out: Iterable[Path] = (),
    roles: Roles | None = None,
) -> list[Pair]:
    """The pairs under ``root``, in natural order of their names.

    Looks for one folder per source (``role_folders``) and pairs by relative stem; where there
    are none, pairs by suffix in one folder (``x_ir.png`` with ``x_vis.png``). ``Pair.name`` is
    the relative stem with forward slashes. Hidden files and other file types are left out, and
    so are the folders ``leave_out`` below ``root``: those that results go to. ``roles`` stand in
    place of those of the task: two names, or two patterns of file names whose ``*`` is the name
    of the scene, such as ``cam_*_L``.

    Raises ``DrfuseError`` that lists the names for duplicates, for orphans (unless
    ``allow_unpaired``, which skips them), for links that lead out of ``root``, and where no
    pair is found.
    """
    away = {Path(os.path.realpath(folder)) for folder in leave_out}
    folders = role_folders(root, task, roles)
    if roles and "*" in "".join(roles):
        scenes = _by_pattern(root, roles, away)
    elif folders:
        first, second = (_by_stem(folder, root, away) for folder in folders)
        scenes = {name: (first.get(name, []), second.get(name, [])) for name in {**first, **second}}
    else:
        scenes = _by_suffix(root, task, away, roles)
    _refuse_duplicates(root, scenes)
    if not allow_unpaired:
        _refuse_orphans(root, scenes)
    pairs = [Pair(name, *one, *two) for name, (one, two) in scenes.items() if one and two]
    if not pairs:
        raise _nothing_found(root, task, roles)
    return sorted(pairs, key=lambda pair: natural_key(pair.name))


def role_folders(root: Path, task: str, roles: Roles | None = None) -> tuple[Path, Path] | None:
    """The folders of source 1 and source 2 directly under ``root``, or None without both.

    ``mri`` is source 1, except beside ``ct`` alone. Raises ``DrfuseError`` where a source
    has two folders or ``root`` is not a readable folder.
    """
    folders = {path.name: path for path in _entries(root) if path.is_dir()}
    first, second = _assign(folders, task, roles)
    if not (first and second):
        return None
    for names in (first, second):
        if len(names) > 1:
            raise DrfuseError(
                f"several folders for the same source: {_listing(names)}",
                hint="Keep one folder per source, or give a folder that holds only the two.",
                path=root,
            )
    return folders[first[0]], folders[second[0]]


def roles_of(pair: Pair, task: str) -> tuple[str, str]:
    """The roles that name the folders of a degraded pair and key its noise.

    What a file's folders or its name speak of. Medical roles are what the images are;
    elsewhere the names are aliases of one role.
    """
    first, second = ROLES[task]
    one, two = _role(pair.source1, first), _role(pair.source2, second)
    return (one, two) if one != two else (first[0], second[0])


def _role(path: Path, known: tuple[str, ...]) -> str:
    words = [path.stem.rpartition("_")[2], path.stem.rpartition("-")[2]]
    words += [parent.name for parent in path.parents]
    said = next((word.lower() for word in words if word.lower() in known), known[0])
    return said if said in _MODALITIES else known[0]


_MODALITIES = {"mri", "ct", "pet", "spect"}


def check_roles(roles: Roles) -> Roles:
    """The same; raises ``ValueError`` where they cannot tell two sources apart."""
    stars = [role.count("*") for role in roles]
    if roles[0].lower() == roles[1].lower():
        raise ValueError("both sources have the same role")
    if stars not in ([0, 0], [1, 1]):
        raise ValueError("roles are two names, or two patterns with one * each")
    return roles


def is_image(path: Path) -> bool:
    """True where the name ends like an image that drfuse reads; the content is not looked at."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_video(path: Path) -> bool:
    """True where the name ends like a video; the content is not looked at."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def natural_key(name: str) -> tuple[object, ...]:
    """Sort key that puts ``frame2`` before ``frame10``, folder by folder, without ties."""
    parts = [re.split(r"([0-9]+)", part.casefold()) for part in name.split("/")]
    numbered = [[int(t) if i % 2 else t for i, t in enumerate(part)] for part in parts]
    return (numbered, name)


def _assign(
    labels: Iterable[str], task: str, roles: Roles | None = None
) -> tuple[list[str], list[str]]:
    """Split the labels that name a role of ``task`` into those of source 1 and source 2."""
    if task not in ROLES:
        raise DrfuseError(f"unknown task {task!r}", hint=f"Tasks: {', '.join(ROLES)}.")
    one, two = _known(task, roles)
    known = sorted(label for label in labels if label.lower() in {*one, *two})
    only_second = [label for label in known if label.lower() not in one]
    if only_second:
        return [label for label in known if label.lower() in one], only_second
    # Nothing here can only be source 2, so what may be either (MRI beside CT) is.
    return (
        [label for label in known if label.lower() not in two],
        [label for label in known if label.lower() in two],
    )


def _known(task: str, roles: Roles | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of both sources, in lower case."""
    if roles is None:
        return ROLES[task]
    return (roles[0].lower(),), (roles[1].lower(),)


def _by_pattern(root: Path, patterns: Roles, away: Collection[Path]) -> Scenes:
    """The images under ``root`` by what the ``*`` of a pattern stands for, folder by folder."""
    scenes: Scenes = {}
    strictest_first = sorted(enumerate(patterns), key=lambda one: -len(one[1]))
    for path in _images(root, root, away):
        for side, pattern in strictest_first:
            name = path.name if Path(pattern).suffix.lower() in IMAGE_SUFFIXES else path.stem
            expression = "(.+)".join(re.escape(part) for part in pattern.split("*", 1))
            if match := re.fullmatch(expression, name, re.IGNORECASE | re.DOTALL | re.ASCII):
                scene = (path.relative_to(root).parent / match[1]).as_posix()
                scenes.setdefault(scene, ([], []))[side].append(path)
                break
    return scenes


def _by_stem(folder: Path, root: Path, away: Collection[Path]) -> Files:
    """The images under ``folder`` by their relative path without suffix."""
    found: Files = {}
    for path in _images(folder, root, away):
        found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return found


def _by_suffix(root: Path, task: str, away: Collection[Path], own: Roles | None = None) -> Scenes:
    """The images under ``root`` whose stem ends in ``_ROLE`` or ``-ROLE``, by the rest of it."""
    roles = "|".join(re.escape(role) for role in sorted({*sum(_known(task, own), ())}))
    flags = re.IGNORECASE | re.DOTALL | re.ASCII  # ſ is no s
    pattern = re.compile(rf"(?P<scene>.*[^/])[_-](?P<role>{roles})", flags)
    labelled: dict[str, Files] = {}
    for stem, paths in _by_stem(root, root, away).items():
        if match := pattern.fullmatch(stem):
            by_role = labelled.setdefault(match["scene"], {})
            by_role.setdefault(match["role"], []).extend(paths)
    scenes = {}
    for scene, by_role in labelled.items():
        first, second = _assign(by_role, task, own)
        scenes[scene] = (
            [path for role in first for path in by_role[role]],
            [path for role in second for path in by_role[role]],
        )
    return scenes


def _images(folder: Path, root: Path, away: Collection[Path]) -> Iterator[Path]:
    """The image files under ``folder``; links are followed as far as they stay in ``root``."""
    inside = _real(root)

    def walk(here: Path, trail: tuple[Path, ...]) -> Iterator[Path]:
        real = _real(here)
        if trail and real in away:
            return
        if not real.is_relative_to(inside):
            raise _bad_link(here, f"this link leads out of {root}")
        if real in trail:
            raise _bad_link(here, "this link leads back to a folder that holds it")
        if real.is_dir():
            for path in _entries(here):
                if path.is_dir() or is_image(path):
                    yield from walk(path, (*trail, real))
        elif real.is_file():
            yield here

    yield from walk(folder, ())


def _entries(folder: Path) -> list[Path]:
    """What lies in ``folder``, sorted, without hidden files (``.DS_Store``, ``._x.png``)."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        raise DrfuseError("no such folder", hint="Check the path.", path=folder) from None
    except NotADirectoryError:
        raise DrfuseError(
            "this is a file", hint="Give the folder that holds the pairs.", path=folder
        ) from None
    except OSError as error:
        raise DrfuseError(
            f"this folder cannot be read: {error.strerror}",
            hint="Check its permissions.",
            path=folder,
            code=ExitCode.ENVIRONMENT,
        ) from error


def _real(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise _bad_link(path, "this link leads nowhere") from None


def _bad_link(path: Path, message: str) -> DrfuseError:
    return DrfuseError(
        message, hint="Put the files themselves there, or remove the link.", path=path
    )


def _refuse_duplicates(root: Path, scenes: Scenes) -> None:
    double = [side for sides in scenes.values() for side in sides if len(side) > 1]
    if double:
        groups = [" = ".join(_relative(path, root) for path in side) for side in double]
        raise DrfuseError(
            f"several files for the same source of a pair: {_listing(groups)}",
            hint="Keep one file of each.",
            path=root,
        )


def _refuse_orphans(root: Path, scenes: Scenes) -> None:
    alone = [(one or two)[0] for one, two in scenes.values() if not (one and two)]
    if alone:
        raise DrfuseError(
            f"no partner for {_listing(_relative(path, root) for path in alone)}",
            hint="Both files of a pair need the same name (in one folder: the same name before "
            "the suffix). --allow-unpaired skips files without a partner.",
            path=root,
        )


def _nothing_found(root: Path, task: str, roles: Roles | None = None) -> DrfuseError:
    """Say what was looked for, or which other task the folder fits."""
    if roles is not None:
        return DrfuseError(
            f"no pairs of {roles[0]} and {roles[1]} found",
            hint="Looked for two folders of these names, or files whose names end in or fit them.",
            path=root,
        )
    fitting = [other for other in ROLES if _has_both(root, other)]
    if task in fitting:
        hint = "Its two folders have no file name in common."
    elif fitting:
        hint = f"Its folders are those of --task {fitting[0]}."
    else:
        one, two = ROLES[task]
        hint = (
            f"Looked for a folder {' or '.join(one)} beside a folder {' or '.join(two)}, "
            f"and for files like x_{one[0]}.png beside x_{two[0]}.png."
        )
    return DrfuseError(f"no {task} pairs found", hint=hint, path=root)


def _has_both(root: Path, task: str) -> bool:
    try:
        return role_folders(root, task) is not None
    except DrfuseError:
        return False


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _listing(names: Iterable[str]) -> str:
    """The names in natural order, cut where nobody would read on."""
    ordered = sorted(names, key=natural_key)
    more = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return ", ".join(ordered[:_LISTED]) + more
