"""Find how one plane lies on another, on reduced copies, and weigh the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from drfuse_cli.registration.finding import Finding
from drfuse_cli.registration.motion import (
    Matrix,
    Motion,
    Shape,
    resized,
    shift_matrix,
)
from drfuse_cli.registration.structure import (
    Offset,
    Plane,
    Structure,
    Surface,
    agreement,
    block_sums,
    correlation,
    significance,
    structure,
)

SMALLEST = 64
"""Pixels of the shorter side below which there is too little to compare."""

_SHORT, _SHORT_COARSE = 320, 128
_BLOCK = 20
_REACH = 8
"""Shifts are looked for up to this part of the shorter side."""
_ZOOMS = (0.95, 1.0, 1.05)
_TURNS = (-3.0, 0.0, 3.0)
_FINE_ZOOMS = (0.94, 0.97, 1.0, 1.03, 1.06)
_FINE_TURNS = (-4.0, -2.0, 0.0, 2.0, 4.0)
_NONE = np.eye(3)


@dataclass(frozen=True, eq=False)
class View:
    """Two planes of one scene, reduced to the same size: what is still and what moves."""

    still: Plane
    moving: Plane
    full: Shape

    @classmethod
    def of(cls, still: Plane, moving: Plane, full: Shape, short: int = _SHORT) -> View:
        """Planes that cover a grid of ``full`` pixels, whatever their own resolution."""
        size = reduced(full, short)
        return cls(_resize(still, size), _resize(moving, size), full)

    @property
    def shape(self) -> Shape:
        return self.still.shape[0], self.still.shape[1]

    @property
    def reach(self) -> int:
        return min(self.shape) // _REACH

    @cached_property
    def still_structure(self) -> Structure:
        return structure(self.still)

    def moved(self, matrix: Matrix) -> Structure:
        """The structure of the moving plane after ``matrix`` (on the full grid) was undone."""
        if np.array_equal(matrix, _NONE):
            return structure(self.moving)
        own = resized(matrix, self.full, self.shape)
        return _inside(structure(_warp(self.moving, own, cv2.BORDER_REFLECT)), own)

    def surface(self, moved: Structure) -> Surface:
        return correlation(self.still_structure, moved, self.reach)

    def blocks(self, moved: Structure, offset: Offset = (0, 0)) -> np.ndarray:
        """The agreement in every block of the image."""
        terms = agreement(self.still_structure, moved, self.reach, offset)
        return block_sums(terms, _BLOCK)


def reduced(full: Shape, short: int) -> Shape:
    """The size of a copy whose shorter side has at most ``short`` pixels."""
    share = min(1.0, short / min(full))
    return max(1, round(full[0] * share)), max(1, round(full[1] * share))


def look(view: View, start: Matrix | None = None) -> Finding:
    """The shift under which the sources agree best, anywhere within reach of ``start``.

    ``start`` is a motion on the full grid, none by default.
    """
    moved = view.moved(_NONE if start is None else start)
    surface = view.surface(moved)
    top, rival = _highest(surface), _highest(_elsewhere(surface))
    best = view.blocks(moved, _offset(surface, top))
    shift = _on_full(view, *_peak(surface))
    motion = (
        Motion("translation", shift, view.full)
        if start is None
        else Motion("homography", start @ shift, view.full)
    )
    return Finding(
        motion=motion,
        gain=significance(best - view.blocks(view.moved(_NONE))),
        lead=significance(best - view.blocks(moved, _offset(surface, rival))),
        prominence=_prominence(surface),
    )


def margin(view: View, found: Finding, other: Finding) -> float:
    """By how many standard errors the sources agree better under one finding than another."""
    one, two = (view.blocks(view.moved(finding.motion.matrix)) for finding in (found, other))
    return significance(one - two)


def zoom_and_turn(still: Plane, moving: Plane, full: Shape, fine: bool = True) -> Matrix:
    """The best of some zooms and turns about the middle, with its shift; on the full grid.

    ``fine`` takes steps of 3 % and 2 degrees, otherwise of 5 % and 3 degrees.
    """
    view = View.of(still, moving, full, _SHORT_COARSE)
    best, found = -math.inf, _NONE
    for matrix in _similarities(full, fine):
        surface = view.surface(view.moved(matrix))
        if surface.max() > best:
            best = float(surface.max())
            found = matrix @ _on_full(view, *_peak(surface))
    return found


def _similarities(shape: Shape, fine: bool) -> Iterator[Matrix]:
    centre = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    for zoom in _FINE_ZOOMS if fine else _ZOOMS:
        for turn in _FINE_TURNS if fine else _TURNS:
            yield np.vstack([cv2.getRotationMatrix2D(centre, turn, zoom), [0, 0, 1]])


def _highest(surface: Surface) -> Offset:
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    return int(row), int(column)


def _offset(surface: Surface, entry: Offset) -> Offset:
    reach = surface.shape[0] // 2
    return entry[0] - reach, entry[1] - reach


def _elsewhere(surface: Surface) -> Surface:
    """Without the surroundings of the highest entry."""
    row, column = _highest(surface)
    near = max(4, surface.shape[0] // 12)
    rest = surface.copy()
    rest[max(0, row - near) : row + near + 1, max(0, column - near) : column + near + 1] = -np.inf
    return rest


def _prominence(surface: Surface) -> float:
    middle = float(np.median(surface))
    spread = 1.4826 * float(np.median(np.abs(surface - middle)))
    return (float(surface.max()) - middle) / spread if spread > 0 else 0.0


def _peak(surface: Surface) -> tuple[float, float]:
    """How far right and down the top of the parabolas through the highest entry lies."""
    row, column = _highest(surface)
    down, right = _offset(surface, (row, column))
    return right + _top(surface[row], column), down + _top(surface[:, column], row)


def _top(line: np.ndarray, i: int) -> float:
    if not 0 < i < len(line) - 1:
        return 0.0
    before, here, after = (float(value) for value in line[i - 1 : i + 2])
    bend = before - 2 * here + after
    return (before - after) / (2 * bend) if bend < 0 else 0.0


def _on_full(view: View, right: float, down: float) -> Matrix:
    return resized(shift_matrix(right, down), view.shape, view.full)


def _resize(plane: Plane, size: Shape) -> Plane:
    if plane.shape == size:
        return plane
    smaller = size[0] < plane.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(plane, size[::-1], interpolation=method), np.float32)


def _warp(plane: Plane, matrix: Matrix, border: int) -> Plane:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = plane.shape[1], plane.shape[0]
    warped = cv2.warpPerspective(plane, matrix, size, flags=flags, borderMode=border)
    return np.asarray(warped, np.float32)


def _inside(edges: Structure, matrix: Matrix) -> Structure:
    """Without what the moving plane does not show, and the edge where it ends."""
    seen = _warp(np.ones(edges.shape, np.float32), matrix, cv2.BORDER_CONSTANT)
    whole = cv2.erode(seen, np.ones((9, 9), np.uint8)) == 1
    edges[~whole] = 0
    return edges
