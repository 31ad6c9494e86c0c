"""Image files to ``Image``.

Pillow opens every file, since it refuses missing data that OpenCV fills in. The pixels of
PNG and of all 16-bit files come from OpenCV: Pillow cuts 16-bit colour to 8 bits, and paints
missing rows of a PNG black. OpenCV only ever sees bytes: its file functions crash on odd
names and hide failures.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio.counts import counted
from drfuse_cli.imageio.image import Image, StrPath
from drfuse_cli.imageio.kinds import is_radiometric, kind_of
from drfuse_cli.imageio.limits import max_pixels, too_large
from drfuse_cli.imageio.tiff import check_tiff

# Its messages go straight to stderr; whatever is wrong reaches the user as a DrfuseError.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_image(path: StrPath, measured: bool = False) -> Image:
    """The image in a file, its format and depth decided by its content.

    EXIF orientation is applied, alpha and colour profile are dropped, and colour with three
    identical channels becomes grey. ``measured``: grey TIFF of 32-bit floating-point numbers is
    read too, its range as 0..65535. Raises ``DrfuseError`` naming the file where it is
    missing, damaged, truncated, oversized or of a kind that is not read.
    """
    return decode_image(_read_file(path), os.fspath(path), measured)


def decode_image(data: bytes, name: str, measured: bool = False) -> Image:
    """As :func:`read_image`, from the bytes of a file; ``name`` stands in messages."""
    kind = kind_of(data, name)
    limit = max_pixels()
    unit = None
    try:
        pixels = _grey_if_equal(_decode(data, kind, limit, name, measured))
        if pixels.dtype == np.float32:
            pixels, unit = counted(pixels, name)
    except DrfuseError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise too_large(name, limit) from error
    except MemoryError as error:
        raise DrfuseError(
            "not enough memory to read it", path=name, code=ExitCode.ENVIRONMENT
        ) from error
    except Exception as error:  # decoders raise anything on damaged input
        raise _damaged(name, kind, error) from error
    return Image(pixels, name, hashlib.sha256(data).hexdigest(), unit)


def _read_file(path: StrPath) -> bytes:
    name = os.fspath(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise DrfuseError("is a folder, not an image", path=name)
        if not stat.S_ISREG(status.st_mode):
            raise DrfuseError("is not a regular file", path=name)
        limit = max_pixels()
        # four 16-bit channels, and generous metadata
        if status.st_size > 8 * limit + (64 << 20):
            raise too_large(name, limit)
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DrfuseError("no such file", hint="Check the path.", path=name) from error
    except NotADirectoryError as error:
        raise DrfuseError("no such file", hint="Check the path.", path=name) from error
    except PermissionError as error:
        raise DrfuseError("no permission to read it", path=name) from error
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise DrfuseError(reason, path=name, code=ExitCode.ENVIRONMENT) from error


def _decode(data: bytes, kind: str, limit: int, name: str, measured: bool) -> np.ndarray:
    bits, inverted = 8, False
    if kind == "JPEG" and is_radiometric(data):
        raise DrfuseError(
            "is a radiometric JPEG: what it shows is a palette, the measured values lie inside",
            hint="Export them as a 16-bit TIFF: with the camera maker's software, or with "
            f"exiftool -b -RawThermalImage {name} > raw.tif",
            path=name,
        )
    if kind == "PNG":
        _check_png_chunks(data)
        bits = data[24]
    with _pillow(limit) as caught:
        if kind == "TIFF":
            bits, inverted = check_tiff(data, name, caught, measured)
        image: PIL.Image.Image = PIL.Image.open(io.BytesIO(data), formats=(kind,))
        if kind == "TIFF":  # the one plugin that looks at the limit again while loading
            image.load()
    if kind in ("PNG", "WEBP") and getattr(image, "n_frames", 1) > 1:
        raise DrfuseError(
            "is animated", hint="Extract one frame as a still image, and use that.", path=name
        )
    image.load()  # a check even where OpenCV decodes
    opencv = kind == "PNG" or bits == 16
    if bits == 32:
        return np.array(image, np.float32)
    pixels = _with_opencv(data, image.size, bits) if opencv else _with_pillow(image, name)
    if kind == "TIFF":  # both decoders turn TIFF by themselves
        return ~pixels if inverted else pixels
    return np.ascontiguousarray(_turn(pixels, _orientation(image, limit)))


_pillow_lock = threading.Lock()


@contextmanager
def _pillow(limit: int) -> Iterator[list[warnings.WarningMessage]]:
    """Pillow with our limit in place of its own, and its warnings collected.

    Both are global there, hence the lock. Pillow refuses what is over twice its limit.
    """
    with _pillow_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = PIL.Image.MAX_IMAGE_PIXELS
        # a float makes odd limits exact, which the annotation in Pillow does not foresee
        PIL.Image.MAX_IMAGE_PIXELS = limit / 2  # type: ignore[assignment]
        try:
            yield caught
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = before


def _check_png_chunks(data: bytes) -> None:
    """Every checksum, and that the last chunk is there: decoders skip both to save time."""
    position, view = 8, memoryview(data)
    while position + 12 <= len(data):
        length, chunk = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(view[position + 4 : end - 4]) != checksum:
            raise ValueError(f"wrong checksum in chunk {chunk.decode('ascii', 'replace')}")
        if chunk == b"IEND":
            return
        position = end
    raise ValueError("it ends too early")


def _with_pillow(image: PIL.Image.Image, name: str) -> np.ndarray:
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("P", "PA", "CMYK", "YCbCr"):
        image = image.convert("RGB")
    if image.mode not in ("L", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX"):
        raise DrfuseError(
            f"holds pixels of a kind that is not read ({image.mode})",
            hint="Save it as grey or RGB with 8 or 16 bits per channel.",
            path=name,
        )
    return _without_alpha(np.array(image))


def _with_opencv(data: bytes, size: tuple[int, int], bits: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    dtype = np.uint16 if bits == 16 else np.uint8
    if pixels is None or pixels.dtype != dtype or pixels.shape[1::-1] != size:
        raise ValueError("its pixels cannot be decoded")
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        pixels = pixels[..., 2::-1]
    return _without_alpha(pixels)


def _without_alpha(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 3:
        pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., 0]
    return np.ascontiguousarray(pixels)


def _orientation(image: PIL.Image.Image, limit: int) -> int:
    with _pillow(limit):
        try:
            value: Any = image.getexif().get(0x0112, 1)
        except Exception:  # damaged EXIF says nothing about the pixels
            return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Upright pixels; EXIF orientation 1..8 says where the stored first row and column lie."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _grey_if_equal(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 3:
        first = pixels[..., 0]
        if np.array_equal(first, pixels[..., 1]) and np.array_equal(first, pixels[..., 2]):
            return np.ascontiguousarray(first)
    return pixels


def _damaged(name: str, kind: str, error: Exception) -> DrfuseError:
    # Pillow's own words hold the address of an object
    unidentified = isinstance(error, PIL.UnidentifiedImageError)
    reason = "its header makes no sense" if unidentified else str(error) or type(error).__name__
    return DrfuseError(
        f"is a damaged, truncated or unusual {kind} file ({reason})",
        hint="Copy or export the file again.",
        path=name,
    )
