"""The grid two sources share: odd sizes, sizes no scale divides, single pixels, mismatches."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.operators.grid import Grid

Size = tuple[int, int]


@pytest.mark.parametrize(
    ("sizes", "scales", "shape", "canvas"),
    [
        (((48, 64), (48, 64)), (1, 1), (48, 64), (48, 64)),
        (((47, 63), (47, 63)), (1, 1), (47, 63), (47, 63)),
        (((1, 1), (1, 1)), (1, 1), (1, 1), (1, 1)),
        (((1, 9), (1, 9)), (1, 1), (1, 9), (1, 9)),
        (((12, 16), (48, 64)), (4, 1), (48, 64), (48, 64)),
        (((48, 64), (12, 16)), (1, 4), (48, 64), (48, 64)),
        (((25, 30), (103, 121)), (4, 1), (103, 121), (104, 124)),
        (((26, 31), (103, 121)), (4, 1), (103, 121), (104, 124)),
        (((97, 118), (25, 30)), (1, 4), (97, 118), (100, 120)),
        (((1, 1), (1, 1)), (4, 1), (1, 1), (4, 4)),
        (((1, 1), (3, 2)), (4, 1), (3, 2), (4, 4)),
        (((24, 32), (24, 32)), (2, 2), (48, 64), (48, 64)),
        (((24, 32), (12, 16)), (2, 4), (48, 64), (48, 64)),
        (((25, 33), (12, 16)), (2, 4), (50, 66), (52, 68)),
        (((30, 15), (20, 10)), (2, 3), (60, 30), (60, 30)),
        (((31, 15), (20, 10)), (2, 3), (62, 30), (66, 30)),
    ],
)
def test_the_output_has_the_size_of_the_finer_source(
    sizes: tuple[Size, Size], scales: tuple[int, int], shape: Size, canvas: Size
) -> None:
    assert Grid.of(sizes, scales) == Grid(shape, canvas)
    assert Grid.of(sizes[::-1], scales[::-1]) == Grid(shape, canvas)


@pytest.mark.parametrize("scales", list(itertools.combinations_with_replacement((1, 2, 3, 4), 2)))
@pytest.mark.parametrize("round_up", [False, True])
def test_every_small_size_fits_whatever_the_scales(scales: tuple[int, int], round_up: bool) -> None:
    for fine, other in itertools.product(range(1, 14), (1, 2, 5, 11)):
        first = (fine, other)
        scene = [n * scales[0] for n in first]
        divide = math.ceil if round_up else math.floor
        second = tuple(max(1, divide(n / scales[1])) for n in scene)
        if scales[0] == scales[1]:
            second = first
        sizes = (first, (second[0], second[1]))
        slack = max(scales)
        if any(abs(n - m * scales[1]) >= slack for n, m in zip(scene, second, strict=True)):
            continue  # a scene smaller than one coarse pixel
        grid = Grid.of(sizes, scales)
        assert grid.shape == tuple(scene)
        for size, scale in zip(sizes, scales, strict=True):
            assert all(n % scale == 0 for n in grid.canvas)
            image = np.arange(math.prod(size), dtype=np.float32).reshape(size)
            extended = grid.extend(image, scale)
            assert extended.shape == tuple(n // scale for n in grid.canvas)
            assert np.array_equal(extended[: size[0], : size[1]], image)


@pytest.mark.parametrize(
    ("sizes", "scales"),
    [
        (((48, 64), (48, 65)), (1, 1)),
        (((48, 64), (64, 48)), (1, 1)),
        (((1, 1), (48, 64)), (1, 1)),
        (((12, 16), (48, 68)), (4, 1)),
        (((12, 16), (52, 64)), (4, 1)),
        (((12, 16), (44, 64)), (4, 1)),
        (((12, 16), (48, 64)), (2, 1)),
        (((24, 32), (24, 33)), (2, 2)),
    ],
)
def test_sources_of_different_scenes_are_refused(
    sizes: tuple[Size, Size], scales: tuple[int, int]
) -> None:
    for flip in (1, -1):
        with pytest.raises(DrfuseError, match="do not cover the same grid") as caught:
            Grid.of(sizes[::flip], scales[::flip])
        assert caught.value.code == ExitCode.USAGE
        for (height, width), scale in zip(sizes, scales, strict=True):
            assert f"{width * scale}x{height * scale}" in caught.value.message
        assert "--sr-scale" in str(caught.value.hint)


def test_what_already_fits_is_handed_on_as_it_is() -> None:
    image = np.zeros((6, 8), np.float32)
    assert Grid((6, 8), (6, 8)).extend(image, 1) is image
    assert Grid((24, 32), (24, 32)).extend(image, 4) is image


def test_an_image_is_continued_by_its_mirror_image() -> None:
    image = np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)
    extended = Grid((5, 6), (8, 8)).extend(image, 1)
    assert extended.shape == (2, 8, 8)
    assert extended.dtype == np.float32
    assert np.array_equal(extended[:, 5:, :6], image[:, [4, 3, 2]])
    assert np.array_equal(extended[:, :5, 6:], image[..., [5, 4]])


def test_an_image_too_small_to_mirror_is_repeated() -> None:
    image = np.array([[3.0, 7.0]])
    extended = Grid((1, 2), (4, 4)).extend(image, 1)
    assert np.array_equal(extended, [[3, 7, 7, 7]] * 4)
