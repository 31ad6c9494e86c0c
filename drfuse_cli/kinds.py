"""``--kind``: which impairments meet which source, and the draw of each pair."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from drfuse_cli.errors import DrfuseError
from drfuse_cli.impairments import INFRARED, KINDS, VISIBLE, Impairment, Kind, draw, draw_all
from drfuse_cli.operators.simulate import generator
from drfuse_cli.pairs import ROLES

if TYPE_CHECKING:
    import numpy as np

Kinds = tuple[Kind, ...] | Literal["random"]
"""What meets one source: these kinds, or as many as training draws."""

_ODDS = INFRARED, VISIBLE
_EXAMPLE = "For example --kind haze,noise or --kind ir:stripes,vis:lowlight."


def parse_kinds(text: str) -> tuple[Kinds, Kinds]:
    """The kinds of infrared and visible source, from a list such as ``haze,ir:noise``.

    A plain kind meets every source that it is known of: low light and haze the visible one,
    stripes the infrared one, contrast and noise both. ``ir:`` or ``1:``, ``vis:`` or ``2:``
    names the source. ``random`` draws kinds and number as training does. Raises
    ``DrfuseError`` naming the entry that cannot be followed.
    """
    named: tuple[set[str], set[str]] = set(), set()
    for entry in (entry.strip() for entry in text.split(",")):
        side, _, word = entry.rpartition(":")
        kind = _kind(entry, word.strip().lower())
        for source in _sources(entry, side) if ":" in entry else _suited(kind):
            named[source].add(kind)
    first, second = (_checked(number, kinds) for number, kinds in enumerate(named, 1))
    return first, second


def _kind(entry: str, word: str) -> str:
    known = (*KINDS, "random")
    if word in known:
        return word
    near = get_close_matches(word, known, 2)
    guess = f"Did you mean {' or '.join(near)}? " if near else ""
    raise DrfuseError(
        f"--kind: {entry!r} is no kind of degradation", hint=f"{guess}Kinds: {', '.join(known)}."
    )


def _sources(entry: str, side: str) -> tuple[int, ...]:
    for source, roles in enumerate(ROLES["ivif"]):
        if side.strip().lower() in (str(source + 1), *roles):
            return (source,)
    raise DrfuseError(
        f"--kind: {entry!r} names no source",
        hint=f"ir: or 1: is the infrared one, vis: or 2: the visible one. {_EXAMPLE}",
    )


def _suited(kind: str) -> tuple[int, ...]:
    return tuple(i for i, odds in enumerate(_ODDS) if kind in odds or kind == "random")


def _checked(number: int, kinds: set[str]) -> Kinds:
    if "random" not in kinds:
        return tuple(kind for kind in KINDS if kind in kinds)
    if len(kinds) > 1:
        raise DrfuseError(
            f"--kind: source {number} has random beside {', '.join(sorted(kinds - {'random'}))}",
            hint="random draws its own kinds. Give it alone, or by source: ir:random,vis:haze.",
        )
    return "random"


def draw_kinds(
    source: int, kinds: Kinds, seed: int, name: str, role: str
) -> tuple[Impairment, ...]:
    """The impairments of source 0 or 1 of the pair ``name``, their parameters drawn.

    Every kind has a generator of its own: what else is asked for changes nothing about it.
    """

    def rng(kind: str) -> np.random.Generator:
        return generator(seed, name, f"{role}:{kind}")

    if kinds == "random":
        return draw_all(_ODDS[source], rng("random"))
    return tuple(draw(kind, rng(kind)) for kind in kinds)


def in_words(kinds: Kinds) -> str:
    """``haze, noise``; ``drawn at random``; ``left as it is``."""
    if kinds == "random":
        return "kinds drawn at random"
    return ", ".join(kinds) or "left as it is"
