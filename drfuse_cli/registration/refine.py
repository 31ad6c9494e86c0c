"""A homography that makes the edges of two planes agree, starting near the right one."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from drfuse_cli.registration.motion import Matrix, corners_of, resized, transform
from drfuse_cli.registration.search import View
from drfuse_cli.registration.structure import Structure

_BLURS = (4.0, 2.0, 1.0)
"""From coarse to fine: sigma in pixels of the reduced planes."""
_EVERY = 2
"""One pixel in so many, along both sides, is compared: maps this smooth hold no more."""
_ITERATIONS = 12
_HOLD = 10.0
"""What a corner pays for leaving the zoom and turn, where its part of the image asks nothing."""


def refine(view: View, start: Matrix) -> Matrix:
    """The homography near ``start`` (both on the full grid) of the best agreement.

    The corners move: first together, as zoom, turn and shift let them, then each alone.
    Deterministic on one machine.
    """
    corners = torch.from_numpy(corners_of(view.shape))
    own = resized(start, view.full, view.shape)
    placed = torch.from_numpy(transform(own, corners.numpy()))
    maps = {blur: (_planes(view.still_structure, blur), _planes(view.moved(np.eye(3)), blur))
            for blur in _BLURS}  # fmt: skip
    together = _together(corners)
    for blur in _BLURS:
        placed = _climb(maps[blur], corners, placed, together)
    alike, alone = placed, torch.eye(8).double().reshape(8, 4, 2)
    for blur in _BLURS[1:]:
        placed = _climb(maps[blur], corners, placed, alone, alike)
    return resized(_homography(corners, placed).numpy(), view.shape, view.full)


def _together(corners: Tensor) -> Tensor:
    """How the corners move under a shift right, a shift down, a zoom and a turn; 4 x 4 x 2."""
    middle = corners.mean(0)
    spread = (corners - middle) / middle.max()
    right, down = torch.eye(2).double()[:, None].expand(2, 4, 2)
    turned = torch.stack([-spread[:, 1], spread[:, 0]], 1)
    return torch.stack([right, down, spread, turned])


def _climb(
    maps: tuple[Tensor, Tensor],
    corners: Tensor,
    placed: Tensor,
    ways: Tensor,
    rest: Tensor | None = None,
) -> Tensor:
    """``placed`` moved along ``ways`` to where the agreement is highest, held near ``rest``."""
    still, moving = maps[0][:, ::_EVERY, ::_EVERY], maps[1]
    points = _pixels(moving.shape[-2:])[::_EVERY, ::_EVERY]
    total = still.square().sum().clamp_min(1e-9)
    steps = torch.zeros(len(ways), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [steps],
        max_iter=_ITERATIONS,
        tolerance_change=1e-6,
        tolerance_grad=1e-9,
        line_search_fn="strong_wolfe",
    )

    def now() -> Tensor:
        return placed + torch.einsum("n,nij->ij", steps, ways)

    def loss() -> Tensor:
        search.zero_grad()
        moved = _fetch(moving, points @ _homography(corners, now()).T)
        value = -(still * moved).sum() / total
        if rest is not None:
            value = value + _HOLD * (now() - rest).square().mean() / min(moving.shape[-2:]) ** 2
        value.backward()  # type: ignore[no-untyped-call]
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    return now().detach()


def _planes(edges: Structure, blur: float) -> Tensor:
    """Real and imaginary part, 2 x H x W."""
    parts = [
        cv2.GaussianBlur(np.ascontiguousarray(part), (0, 0), blur, borderType=cv2.BORDER_CONSTANT)
        for part in (edges.real, edges.imag)
    ]
    return torch.from_numpy(np.stack(parts))


def _pixels(shape: tuple[int, ...]) -> Tensor:
    """(x, y, 1) of every pixel, H x W x 3."""
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in shape)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], -1)


def _fetch(planes: Tensor, points: Tensor) -> Tensor:
    """Planes at homogeneous points, zero outside."""
    size = torch.tensor([planes.shape[-1] - 1.0, planes.shape[-2] - 1.0])
    grid = points[..., :2] / points[..., 2:] / size * 2 - 1
    return grid_sample(planes[None], grid[None].to(planes), align_corners=True)[0]


def _homography(points: Tensor, places: Tensor) -> Tensor:
    """The 3 x 3 matrix that takes four points, 4 x 2, to four places."""
    x, y, u, v = points[:, 0], points[:, 1], places[:, 0], places[:, 1]
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    right = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], 1)
    down = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], 1)
    found = torch.linalg.solve(torch.cat([right, down]), torch.cat([u, v]))
    return torch.cat([found, found.new_ones(1)]).reshape(3, 3)
