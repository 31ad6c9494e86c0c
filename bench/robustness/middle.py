"""The middle of some clean pairs: enough to compare by, where many settings are tried."""

from __future__ import annotations

from dataclasses import dataclass

from drfuse_cli.evaluation.cases import Both, CleanPair, size_of
from drfuse_cli.imageio import Image


@dataclass(frozen=True)
class Middle(CleanPair):
    """A clean pair of which ``edge`` pixels around the middle count."""

    edge: int = 256

    def read(self) -> Both:
        first, second = (self._cut(image) for image in super().read())
        return first, second

    def _cut(self, image: Image) -> Image:
        top, left = (max(0, (n - self.edge) // 2) for n in size_of(image))
        return Image(image.pixels[top:, left:][: self.edge, : self.edge], image.path)


def spread_out(pairs: list[CleanPair], count: int, edge: int) -> list[Middle]:
    """``count`` pairs from first to last, evenly apart, each cut to its middle."""
    count = min(count, len(pairs))
    chosen = [pairs[i * len(pairs) // count] for i in range(count)]
    return [Middle(pair.name, pair.roles, pair.files, edge) for pair in chosen]
