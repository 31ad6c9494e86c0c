"""``Image`` to files."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio.files import write_bytes
from drfuse_cli.imageio.image import Image, StrPath

_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]
# above 100 is OpenCV's word for lossless WebP
_ENCODERS: dict[str, list[int]] = {
    ".png": [],
    ".tif": [],
    ".tiff": [],
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".bmp": [],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101],
}
_SIXTEEN_BIT_SUFFIXES = (".png", ".tif", ".tiff")


def check_suffix(suffix: str, bits: int = 8, path: StrPath | None = None) -> None:
    """Raise ``DrfuseError`` where a suffix is unknown or its format cannot hold the depth."""
    name = None if path is None else os.fspath(path)
    if suffix.lower() not in _ENCODERS:
        what = f"the suffix {suffix!r} is no image format" if suffix else "has no suffix"
        known = ", ".join(_ENCODERS)
        raise DrfuseError(f"{what} that is written", hint=f"Use one of {known}.", path=name)
    if bits > 8 and suffix.lower() not in _SIXTEEN_BIT_SUFFIXES:
        raise DrfuseError(
            f"{suffix} cannot hold {bits} bits per channel", hint="Use .png or .tif.", path=name
        )


def encode_image(image: Image, suffix: str, path: StrPath | None = None) -> bytes:
    """The bytes of an image file, the same on every call.

    ``suffix`` is one of .png .tif .tiff .jpg .jpeg (quality 95, 4:4:4) .bmp .webp
    (lossless); ``path`` stands in messages. Raises ``DrfuseError`` for another suffix,
    for 16 bits outside PNG and TIFF, and for a size that the format cannot hold.
    """
    check_suffix(suffix, image.bits, path)
    pixels = np.ascontiguousarray(image.pixels[..., ::-1]) if image.colour else image.pixels
    try:
        done, encoded = cv2.imencode(suffix.lower(), pixels, _ENCODERS[suffix.lower()])
    except cv2.error:
        done = False
    if not done:
        raise DrfuseError(
            f"{suffix} cannot hold {image.width} x {image.height} pixels",
            hint="Use .png or .tif.",
            path=path if path is None else os.fspath(path),
        )
    return encoded.tobytes()


def write_image(path: StrPath, image: Image, overwrite: bool = True) -> None:
    """Write an image in the format of the suffix; the file appears whole or not at all.

    Missing folders are made. Raises ``DrfuseError``; nothing is touched where the suffix,
    the depth or an existing file (without ``overwrite``) forbids it.
    """
    check_suffix(Path(path).suffix, image.bits, path)
    if not overwrite and os.path.lexists(path):
        raise DrfuseError(
            "already exists", hint="Choose another name, or overwrite it.", path=os.fspath(path)
        )
    write_bytes(path, encode_image(image, Path(path).suffix, path))
