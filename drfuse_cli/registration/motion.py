"""How one source lies on the other: a homography of the fused grid, told in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Model = Literal["translation", "homography"]
Matrix = npt.NDArray[np.float64]
Shape = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, eq=False)
class Motion:
    """Where the moved source has what the still one has.

    ``matrix`` (3 x 3) takes the middle of a pixel (x, y) of the still source to its place in
    the moved one, both on the fused grid of ``shape`` pixels.
    """

    model: Model
    matrix: Matrix
    shape: Shape

    @property
    def shift(self) -> tuple[float, float]:
        """How far right and down the moved source lies in the middle of the image, in pixels."""
        height, width = self.shape
        centre = np.array([((width - 1) / 2, (height - 1) / 2)], np.float64)
        right, down = (transform(self.matrix, centre) - centre)[0].tolist()
        return right, down

    @property
    def largest(self) -> float:
        """How far apart the sources lie in the worst corner, in pixels."""
        corners = corners_of(self.shape)
        return float(np.linalg.norm(transform(self.matrix, corners) - corners, axis=1).max())

    @property
    def rim(self) -> tuple[int, int, int, int]:
        """Pixels at the left, top, right and bottom that the moved source does not reach."""
        height, width = self.shape
        placed = transform(
            np.asarray(np.linalg.inv(self.matrix), np.float64), corners_of(self.shape)
        )
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = placed.tolist()
        missing = max(x0, x3), max(y0, y1), width - 1 - min(x1, x2), height - 1 - min(y2, y3)
        left, top, right, bottom = (max(0, int(np.ceil(n - 1e-6))) for n in missing)
        return left, top, right, bottom

    def in_words(self) -> str:
        """``6.3 pixels right and 2.0 down``, and of a homography the worst corner."""
        right, down = self.shift
        across = f"{abs(right):.1f} pixels {'right' if right >= 0 else 'left'}"
        told = f"{across} and {abs(down):.1f} {'down' if down >= 0 else 'up'}"
        if self.model == "translation":
            return told
        return f"{told} in the middle, {self.largest:.1f} in the worst corner"


def translation(right: float, down: float, shape: Shape) -> Motion:
    return Motion("translation", shift_matrix(right, down), shape)


def shift_matrix(right: float, down: float) -> Matrix:
    return np.array([[1, 0, right], [0, 1, down], [0, 0, 1]], np.float64)


def corners_of(shape: Shape) -> Matrix:
    """The middles of the corner pixels as (x, y): top left, then clockwise; 4 x 2."""
    bottom, right = shape[0] - 1.0, shape[1] - 1.0
    return np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)], np.float64)


def transform(matrix: Matrix, points: Matrix) -> Matrix:
    """Points, N x 2, where a homography takes them."""
    moved = np.c_[points, np.ones(len(points))] @ matrix.T
    return np.asarray(moved[:, :2] / moved[:, 2:], np.float64)


def resized(matrix: Matrix, before: Shape, after: Shape) -> Matrix:
    """The same motion on a grid of another size that covers the same scene."""
    y, x = after[0] / before[0], after[1] / before[1]
    # Pixel middles lie at whole numbers, image borders half a pixel outside.
    to = np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])
    return np.asarray(to @ matrix @ np.linalg.inv(to), np.float64)
