"""What infrared and visible, or MRI and PET, show alike: where edges lie and how they run."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Structure = npt.NDArray[np.complex64]
Surface = npt.NDArray[np.float32]
Offset = tuple[int, int]
"""Rows and columns."""

_SIGMA = 1.5
_EVEN = 0.3
"""Gradients above this share of their mean square count nearly alike, whatever the contrast."""
_FRAME = 4


def structure(plane: Plane) -> Structure:
    """Edges of a plane as complex numbers: length 0..1, the angle of the edge doubled.

    Doubling makes an edge and its negative the same, since what is bright in one modality may
    be dark in the other. The product with the conjugate of another map is positive where
    edges run alike, negative where they cross, and zero on average where they are unrelated
    (normalised gradient fields, Haber and Modersitzki 2006, in the form that a Fourier
    transform can correlate).
    """
    smooth = cv2.GaussianBlur(plane, (0, 0), _SIGMA, borderType=cv2.BORDER_REFLECT)
    right = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1, borderType=cv2.BORDER_REFLECT)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1, borderType=cv2.BORDER_REFLECT)
    energy = right * right + down * down
    weight = 1 / (energy + _EVEN * float(energy.mean()) + 1e-12)
    edges = np.empty(plane.shape, np.complex64)
    edges.real = (right * right - down * down) * weight
    edges.imag = 2 * right * down * weight
    return _without_frame(edges)


def _without_frame(edges: Structure) -> Structure:
    """Without the rim, where a frame or a padded blur makes edges of its own."""
    edges[:_FRAME] = edges[-_FRAME:] = 0
    edges[:, :_FRAME] = edges[:, -_FRAME:] = 0
    return edges


def correlation(reference: Structure, moving: Structure, reach: int) -> Surface:
    """How well ``moving`` agrees with ``reference`` under every shift up to ``reach`` pixels.

    Entry ``[reach + dy, reach + dx]`` sums over the inside of ``reference`` its agreement
    with ``moving`` at ``dy`` rows below and ``dx`` columns to the right. Every sum has the
    same pixels of ``reference``.
    """
    height, width = reference.shape
    shape = cv2.getOptimalDFTSize(height), cv2.getOptimalDFTSize(width)
    inside = np.zeros(shape, np.complex64)
    inside[reach : height - reach, reach : width - reach] = interior(reference, reach)
    padded = np.zeros(shape, np.complex64)
    padded[:height, :width] = moving
    spectrum = np.conj(np.fft.fft2(inside)) * np.fft.fft2(padded)
    surface = np.fft.ifft2(spectrum).real
    ends = np.arange(-reach, reach + 1)
    return np.asarray(surface[np.ix_(ends, ends)], np.float32)


def interior(edges: Structure, reach: int, offset: Offset = (0, 0)) -> Structure:
    """What lies ``offset`` away from the pixels further than ``reach`` from every side."""
    height, width = edges.shape
    down, right = offset
    return edges[
        reach + down : height - reach + down,
        reach + right : width - reach + right,
    ]


def agreement(reference: Structure, moving: Structure, reach: int, offset: Offset) -> Plane:
    """The terms of one entry of :func:`correlation`, pixel by pixel."""
    one, two = interior(reference, reach), interior(moving, reach, offset)
    return np.asarray(one.real * two.real + one.imag * two.imag, np.float32)


def block_sums(plane: Plane, block: int) -> npt.NDArray[np.float64]:
    """Sums over squares of ``block`` pixels, what does not fill one left out."""
    rows, columns = plane.shape[0] // block, plane.shape[1] // block
    cut = plane[: rows * block, : columns * block].astype(np.float64)
    return cut.reshape(rows, block, columns, block).sum((1, 3)).ravel()


def significance(gains: npt.NDArray[np.float64]) -> float:
    """By how many standard errors the sum of independent gains differs from zero.

    Its square is the number of equal blocks that would be as convincing.
    """
    return float(gains.sum() / math.sqrt(float((gains**2).sum()) + 1e-12))
