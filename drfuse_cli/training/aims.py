"""What each score counts in a loss: as it usually does, or as a run asks for."""

from __future__ import annotations

from collections.abc import Mapping

from drfuse_cli.errors import DrfuseError


def counted(usual: Mapping[str, float], asked: Mapping[str, float]) -> dict[str, float]:
    """``usual`` with the counts that are ``asked`` in their place.

    Raises :class:`DrfuseError` for a score that the loss does not hold.
    """
    unknown = [name for name in asked if name not in usual]
    if unknown:
        raise DrfuseError(
            f"--aim {unknown[0]}: no score that this run learns towards",
            hint=f"they are {', '.join(usual)}",
        )
    return {**usual, **asked}
