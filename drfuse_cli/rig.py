"""What stays the same about two cameras: what is cut off their pictures, and how these lie."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from drfuse_cli.errors import DrfuseError

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image

_FURTHEST = 1e5
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Margins:
    """Pixels of a file that are left out at each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    @property
    def sides(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.right, self.bottom

    @property
    def across(self) -> int:
        return self.left + self.right

    @property
    def down(self) -> int:
        return self.top + self.bottom

    def crop(self, image: Image) -> Image:
        """The picture without its margins; raises ``DrfuseError`` where nothing is left."""
        if self == Margins():
            return image
        if self.across >= image.width or self.down >= image.height:
            raise DrfuseError(
                f"nothing of {image.width}x{image.height} pixels is left by a crop of "
                f"{self.across} across and {self.down} down",
                hint="A crop is what is cut off at the left, top, right and bottom.",
                path=image.path,
            )
        rows = slice(self.top, image.height - self.bottom)
        columns = slice(self.left, image.width - self.right)
        return replace(image, pixels=image.pixels[rows, columns].copy())


@dataclass(frozen=True)
class FixedMotion:
    """How ``source`` (1 or 2) lies on the other one in every pair, in pixels of the fused image.

    ``numbers``: how far right and down; or the nine of a homography, row by row, which takes a
    pixel of the other source to its place in this one. ``size``: width and height of the fused
    images that this was measured on; ``None`` for any.
    """

    source: int
    numbers: Numbers
    size: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """As ``--motion`` takes it."""
        return f"{self.source}:{','.join(map(repr, self.numbers))}"


@dataclass(frozen=True)
class ProfileName:
    """Which profile a run was made with."""

    name: str
    path: str


@dataclass(frozen=True)
class Rig:
    """What is the same for every pair of a run; ``profile``: the one that settings came from."""

    crop: tuple[Margins, Margins] = (Margins(), Margins())
    motion: FixedMotion | None = None
    profile: ProfileName | None = None

    def cropped(self, images: tuple[Image, Image]) -> tuple[Image, Image]:
        return self.crop[0].crop(images[0]), self.crop[1].crop(images[1])

    @property
    def crops(self) -> list[list[int]] | None:
        """Left, top, right and bottom of both sources; ``None`` where nothing is cut off."""
        if self.crop == Rig().crop:
            return None
        return [list(margins.sides) for margins in self.crop]

    def document(self) -> dict[str, Any]:
        """For the sidecar."""
        profile = self.profile and {"name": self.profile.name, "path": self.profile.path}
        return {"profile": profile, "crop": self.crops}


# ---- parsing --------------------------------------------------------------------------------


def parse_crop(text: str) -> tuple[Margins, Margins]:
    """``L,T,R,B`` for both sources, or eight numbers; raises ``DrfuseError`` naming the flag."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (4, 8) or not all(p.isascii() and p.isdecimal() for p in parts):
        raise DrfuseError(
            f"--crop is {text!r}",
            hint="Give the pixels to cut off at the left, top, right and bottom: --crop 8,0,8,4; "
            "or eight numbers, four of source 1 and four of source 2.",
        )
    values = list(map(int, parts))
    return Margins(*values[:4]), Margins(*values[-4:])


def parse_motion(text: str) -> FixedMotion:
    """``1:RIGHT,DOWN`` or ``1:`` and nine numbers; raises ``DrfuseError`` naming the flag."""
    source, _, rest = text.partition(":")
    try:
        if source not in ("1", "2"):
            raise ValueError("it begins with 1: or 2:")
        return FixedMotion(int(source), checked([float(part) for part in rest.split(",")]))
    except ValueError as error:
        raise DrfuseError(
            f"--motion is {text!r}: {error}",
            hint="For example --motion 1:6.5,-2 where source 1 lies 6.5 pixels right and 2 up of "
            "source 2, in pixels of the fused image; or nine numbers of a homography.",
        ) from None


def checked(numbers: list[float]) -> Numbers:
    """Two or nine numbers that make a motion; raises ``ValueError`` saying what they lack."""
    if len(numbers) not in (2, 9):
        raise ValueError(f"{len(numbers)} numbers, not 2 or 9")
    if not all(math.isfinite(n) and abs(n) <= _FURTHEST for n in numbers):
        raise ValueError("a number is too large")
    if len(numbers) == 9:
        a, b, c, d, e, f, g, h, i = numbers
        if abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) < 1e-6:
            raise ValueError("this homography cannot be undone")
    return tuple(numbers)
