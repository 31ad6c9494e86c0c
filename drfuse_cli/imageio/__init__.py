"""Image files: bytes to ``Image`` and back, with limits, integrity checks and atomic writes."""

from drfuse_cli.imageio.encode import check_suffix, encode_image, write_image
from drfuse_cli.imageio.files import replacing, write_bytes, write_error
from drfuse_cli.imageio.image import Image, StrPath
from drfuse_cli.imageio.limits import (
    DEFAULT_MAX_PIXELS,
    MAX_PIXELS_VARIABLE,
    max_pixels,
    too_large,
)
from drfuse_cli.imageio.read import decode_image, read_image

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "MAX_PIXELS_VARIABLE",
    "Image",
    "StrPath",
    "check_suffix",
    "decode_image",
    "encode_image",
    "max_pixels",
    "read_image",
    "replacing",
    "too_large",
    "write_bytes",
    "write_error",
    "write_image",
]
