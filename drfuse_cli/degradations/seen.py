"""What a file shows, found out once for every image."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image
    from drfuse_cli.operators.estimate import SourceEstimate

_seen: WeakKeyDictionary[Image, SourceEstimate] = WeakKeyDictionary()


def seen_in(image: Image) -> SourceEstimate:
    """What `operators.estimate` finds, remembered for as long as the image lives."""
    found = _seen.get(image)
    if found is None:
        from drfuse_cli.operators.estimate import estimate

        found = _seen[image] = estimate(image)
    return found
