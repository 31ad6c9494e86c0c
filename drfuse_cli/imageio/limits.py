"""How many pixels an image may have."""

from __future__ import annotations

import os

from drfuse_cli.errors import DrfuseError

DEFAULT_MAX_PIXELS = 200_000_000
MAX_PIXELS_VARIABLE = "DRFUSE_MAX_PIXELS"


def max_pixels() -> int:
    """The most pixels that an image may have; raises ``DrfuseError`` for a limit that is none."""
    text = os.environ.get(MAX_PIXELS_VARIABLE, "").strip()
    if not text:
        return DEFAULT_MAX_PIXELS
    if not text.isdecimal() or int(text) == 0:
        raise DrfuseError(
            f"{MAX_PIXELS_VARIABLE} is {text!r}, not a number of pixels",
            hint=f"Unset it, or set for example {MAX_PIXELS_VARIABLE}={DEFAULT_MAX_PIXELS}.",
        )
    return int(text)


def too_large(name: str, limit: int) -> DrfuseError:
    """What to tell the user about an image of more than ``limit`` pixels."""
    return DrfuseError(
        f"is larger than the limit of {limit:,} pixels",
        hint=f"If you trust the file, set the environment variable {MAX_PIXELS_VARIABLE} higher.",
        path=name,
    )
