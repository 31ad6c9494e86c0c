"""Point-spread functions: taps, responses, and every file that is none."""

from __future__ import annotations

import io
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.operators.kernels import (
    gaussian_response,
    gaussian_taps,
    is_mirror_symmetric,
    normalise_psf,
    psf_response,
    psf_sigma,
)
from drfuse_cli.psf import load_psf

# ---- taps and responses ---------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.2, 0.4, 1.0, 1.3, 2.0, 3.0])
def test_the_gaussian_reaches_four_sigma_and_sums_to_one(sigma: float) -> None:
    taps = gaussian_taps(sigma)
    radius = math.ceil(4 * sigma)
    assert len(taps) == 2 * radius + 1
    assert taps.sum() == pytest.approx(1, abs=1e-15)
    assert np.array_equal(taps, taps[::-1])
    assert taps[radius + 1] / taps[radius] == pytest.approx(math.exp(-1 / (2 * sigma**2)))


def test_no_blur_is_a_single_tap() -> None:
    assert np.array_equal(gaussian_taps(0.0), [1.0])


def mirrored_eigenvalues(taps: np.ndarray, n: int) -> np.ndarray:
    """What a blur with mirrored borders does to each cosine of length ``n``, measured."""
    radius = len(taps) // 2
    i = np.arange(n)
    gains = []
    for p in range(n):
        wave = np.cos(np.pi * p * (2 * i + 1) / (2 * n))
        padded = np.pad(wave, radius, mode="symmetric")
        blurred = sum(tap * padded[j : j + n] for j, tap in enumerate(taps))
        gain = (blurred @ wave) / (wave @ wave)
        np.testing.assert_allclose(blurred, gain * wave, atol=1e-12)
        gains.append(gain)
    return np.array(gains)


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_the_gaussian_response_is_measured_on_cosines(n: int) -> None:
    sigmas = [0.0, 0.2, 0.7, 1.3, 3.0]
    response = gaussian_response(n, torch.tensor(sigmas, dtype=torch.float64))
    assert response.dtype == torch.float64
    for row, sigma in zip(response.numpy(), sigmas, strict=True):
        expected = mirrored_eigenvalues(gaussian_taps(sigma), n)
        np.testing.assert_allclose(row, expected, atol=1e-12)


def test_a_batch_has_the_response_each_sigma_has_alone() -> None:
    together = gaussian_response(9, torch.tensor([0.0, 0.4, 3.0]))
    for row, sigma in zip(together, [0.0, 0.4, 3.0], strict=True):
        alone = gaussian_response(9, torch.tensor([sigma]))[0]
        np.testing.assert_allclose(row, alone, atol=1e-14)


def test_the_response_of_a_kernel_is_that_of_its_factors() -> None:
    across, down = np.array([0.1, 0.2, 0.4, 0.2, 0.1]), np.array([0.3, 0.4, 0.3])
    response = psf_response(np.outer(down, across), 6, 9)
    expected = np.outer(mirrored_eigenvalues(down, 6), mirrored_eigenvalues(across, 9))
    np.testing.assert_allclose(response, expected, atol=1e-12)
    assert response.dtype == torch.float64


def test_symmetry_is_asked_of_both_axes() -> None:
    disc = np.array([[0, 1, 0], [1, 2, 1], [0, 1, 0]]) / 6
    assert is_mirror_symmetric(disc)
    assert is_mirror_symmetric(disc + 1e-9)
    for axis in (0, 1):
        lopsided = disc.copy()
        lopsided[(0, 1) if axis == 0 else (1, 0)] += 0.01
        assert not is_mirror_symmetric(lopsided)
    # Symmetric about the centre, but not about the axes.
    assert not is_mirror_symmetric(np.eye(3) / 3)


def test_the_spread_of_a_kernel_does_not_see_where_it_is_centred() -> None:
    taps = gaussian_taps(1.2)
    psf = np.outer(taps, taps)
    assert psf_sigma(psf) == pytest.approx(1.2, rel=0.01)
    assert psf_sigma(np.pad(psf, ((4, 0), (0, 6)))) == pytest.approx(psf_sigma(psf))
    assert psf_sigma(np.ones((1, 1))) == 0


# ---- what is accepted -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float16, np.float32, np.float64])
def test_any_scale_of_weights_is_normalised(tmp_path: Path, dtype: type) -> None:
    kernel = np.array([[0, 10, 3], [20, 40, 7], [1, 10, 0]], dtype)
    path = tmp_path / "kernel.npy"
    np.save(path, kernel)
    psf = load_psf(str(path))
    assert psf.dtype == np.float64
    np.testing.assert_allclose(psf, kernel.astype(float) / 91, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_picture_is_a_kernel(tmp_path: Path, dtype: type) -> None:
    kernel = np.zeros((5, 7), dtype)
    kernel[2, 1:5] = [40, 80, 120, 160]
    path = tmp_path / "kernel.png"
    path.write_bytes(cv2.imencode(".png", kernel)[1].tobytes())
    np.testing.assert_allclose(load_psf(str(path)), kernel / 400, rtol=1e-12)


def test_a_fortran_ordered_file_is_not_transposed(tmp_path: Path) -> None:
    kernel = np.arange(15.0).reshape(3, 5)
    np.save(tmp_path / "k.npy", np.asfortranarray(kernel))
    np.testing.assert_allclose(load_psf(str(tmp_path / "k.npy")), kernel / 105)


def test_the_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    with (tmp_path / "K.NPY").open("wb") as handle:
        np.save(handle, np.ones((3, 3)))
    assert load_psf(str(tmp_path / "K.NPY")).shape == (3, 3)


def test_a_little_ringing_in_a_measured_kernel_is_kept() -> None:
    kernel = np.array([[-0.01, 0.1, -0.01], [0.1, 1, 0.1], [-0.01, 0.1, -0.01]])
    psf = normalise_psf(kernel, "measured")
    assert psf.sum() == pytest.approx(1)
    assert psf.min() < 0


# ---- what is refused ------------------------------------------------------------------------

REFUSED = {
    "one axis": (np.ones(5), "two-dimensional"),
    "three axes": (np.ones((3, 3, 3)), "two-dimensional"),
    "no axis": (np.array(1.0), "two-dimensional"),
    "empty": (np.ones((0, 3)), "two-dimensional"),
    "even height": (np.ones((4, 3)), "even size 3x4"),
    "even width": (np.ones((3, 4)), "even size 4x3"),
    "huge": (np.ones((1, 129)), "larger than 127"),
    "black": (np.zeros((3, 3)), "no finite, positive sum"),
    "negative": (-np.ones((3, 3)), "no finite, positive sum"),
    "cancelling": (np.array([[1.0, -1.0, 1e-12]]), "no finite, positive sum"),
    "not a number": (np.array([[1.0, np.nan, 1.0]]), "no finite, positive sum"),
    "infinite": (np.array([[1.0, np.inf, 1.0]]), "no finite, positive sum"),
    "opposite infinities": (np.array([[-np.inf, np.inf, 1.0]]), "no finite, positive sum"),
    "overflowing": (np.full((3, 3), 1e308), "no finite, positive sum"),
    "complex": (np.ones((3, 3), complex), "real numbers"),
    "text": (np.full((3, 3), "1"), "real numbers"),
    "records": (np.zeros((3, 3), [("a", "f4")]), "real numbers"),
    "dates": (np.zeros((3, 3), "datetime64[s]"), "real numbers"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_an_array_that_is_no_kernel_is_refused(tmp_path: Path, name: str) -> None:
    array, reason = REFUSED[name]
    path = tmp_path / "kernel.npy"
    np.save(path, array)
    with pytest.raises(DrfuseError, match=reason) as caught:
        load_psf(str(path))
    assert caught.value.path == str(path)
    assert caught.value.code == ExitCode.USAGE


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def _saved(array: np.ndarray, pickled: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


def _archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, kernel=np.ones((3, 3)))
    return buffer.getvalue()


FILES = {
    "empty": b"",
    "text": b"0.1 0.2 0.1\n",
    "pickle": b"\x80\x04K\x01.",
    "objects": _saved(np.array([[{}]], dtype=object), pickled=True),
    "truncated": _saved(np.ones((5, 5)))[:-9],
    "cut header": _saved(np.ones((5, 5)))[:40],
    "gigantic": _header((10**9, 10**6)) + bytes(64),
    "archive": _archive(),
    "cut archive": _archive()[:60],
    "negative shape": _header((3, 3)).replace(b"(3, 3)", b"(-3,3)") + bytes(72),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_array_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "kernel.npy"
    path.write_bytes(FILES[name])
    with pytest.raises(DrfuseError) as caught:
        load_psf(str(path))
    assert str(path) in str(caught.value)


def test_flipped_bits_never_escape_as_another_error(tmp_path: Path) -> None:
    good, path = _saved(np.ones((3, 3))), tmp_path / "kernel.npy"
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.integers(0, 128, 150):
        damaged = bytearray(good)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        try:
            psf = load_psf(str(path))
        except DrfuseError:
            refused += 1
        else:
            assert psf.sum() == pytest.approx(1)
    assert refused > 50


@pytest.mark.parametrize("name", ["kernel.npy", "kernel.png"])
def test_a_missing_file_and_a_folder_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(DrfuseError, match="no such file") as caught:
        load_psf(str(path))
    assert caught.value.path == str(path)
    path.mkdir()
    with pytest.raises(DrfuseError) as caught:
        load_psf(str(path))
    assert caught.value.path == str(path)


def test_a_colour_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kernel.png"
    colour = np.zeros((3, 3, 3), np.uint8)
    colour[1, 1] = (10, 200, 30)
    path.write_bytes(cv2.imencode(".png", colour)[1].tobytes())
    with pytest.raises(DrfuseError, match="grey image") as caught:
        load_psf(str(path))
    assert caught.value.path == str(path)


def test_a_black_picture_and_an_even_one_are_refused(tmp_path: Path) -> None:
    for pixels, reason in (
        (np.zeros((3, 3), np.uint8), "positive sum"),
        (np.full((4, 3), 9, np.uint8), "even size"),
    ):
        path = tmp_path / "kernel.png"
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        with pytest.raises(DrfuseError, match=reason):
            load_psf(str(path))
