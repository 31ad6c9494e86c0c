"""Profiles as text: written so that a person may go on from there."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from drfuse_cli.errors import DrfuseError
from drfuse_cli.profiles.read import Profile, SourceProfile, parse_profiles

_BARE = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_HEADER = re.compile(rf"\s*\[\[?\s*{_BARE}(?:\s*\.\s*{_BARE})*\s*\]\]?\s*(?:#.*)?")
Comments = Mapping[str, str]
"""By key, such as ``source1.noise_std``: what to say beside it."""


def render(profile: Profile, comments: Comments | None = None) -> str:
    """The tables of a profile, which :func:`parse_profiles` reads back as they were."""
    where, said = f"profiles.{profile.name}", comments or {}
    lines = [f"[{where}]", *_assignments(profile.settings, said)]
    for number, source in enumerate(profile.sources, 1):
        if values := dict(_values(source)):
            part = f"source{number}"
            lines += ["", f"[{where}.{part}]", *_assignments(values, said, f"{part}.")]
    if profile.motion is not None:
        moved, numbers = profile.motion, list(profile.motion.numbers)
        values = {"source": moved.source}
        if len(numbers) == 2:
            values["shift"] = numbers
        else:
            values["homography"] = [numbers[:3], numbers[3:6], numbers[6:]]
        if moved.size is not None:
            values["size"] = list(moved.size)
        lines += ["", f"[{where}.motion]", *_assignments(values, said, "motion.")]
    return "\n".join(lines) + "\n"


def put(text: str, profile: Profile, comments: Comments | None = None) -> str:
    """The text of a file with this profile in it, at its end or in the place of the old one.

    Everything else stays as it is. Raises ``DrfuseError`` where that is not possible.
    """
    before = tomllib.loads(text).get("profiles", {})
    kept = _without(text, profile.name) if profile.name in before else text
    result = "\n\n".join(part.strip("\n") for part in (kept, render(profile, comments)) if part)
    others = {name: table for name, table in before.items() if name != profile.name}
    try:
        table = tomllib.loads(result)
        after = dict(table["profiles"])
        parsed = parse_profiles(table, profile.path).profiles[profile.name]
    except tomllib.TOMLDecodeError:
        after, parsed = {}, None
    after.pop(profile.name, None)
    if after != others or parsed != profile:
        raise DrfuseError(
            f"the profile {profile.name} cannot be put in its place here",
            hint="Write to another file with -o, and copy it over by hand.",
            path=profile.path,
        )
    return result.strip("\n") + "\n"


def _without(text: str, name: str) -> str:
    """The text without the tables of one profile."""
    own = re.compile(rf"""\s*\[\s*profiles\s*\.\s*["']?{re.escape(name)}["']?\s*[\].]""")
    kept, inside = [], False
    for line in text.split("\n"):
        if _HEADER.fullmatch(line):
            inside = bool(own.match(line))
        if not inside:
            kept.append(line)
    return "\n".join(kept)


def _values(source: SourceProfile) -> Iterator[tuple[str, Any]]:
    for name, value in vars(source).items():
        if name == "crop":
            value = list(value.sides) if any(value.sides) else None
        if value is not None:
            yield name, value


def _assignments(values: Mapping[str, Any], comments: Comments, where: str = "") -> Iterator[str]:
    for key, value in values.items():
        comment = comments.get(f"{where}{key}")
        yield f"{key} = {_literal(value)}" + (f"  # {comment}" if comment else "")


def _literal(value: Any) -> str:
    if isinstance(value, str):
        # JSON escapes what TOML does, but for one character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(value)
