"""Image files: bytes to ``Image`` and back, with limits, integrity checks and atomic writes.

Pillow opens every file, since it refuses missing data that OpenCV fills in. The pixels of
PNG and of all 16-bit files come from OpenCV: Pillow cuts 16-bit colour to 8 bits, and paints
missing rows of a PNG black. OpenCV only ever sees bytes: its file functions crash on odd
names and hide failures.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from drfuse_cli.errors import DrfuseError, ExitCode

# Its messages go straight to stderr; whatever is wrong reaches the user as a DrfuseError.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

StrPath = str | os.PathLike[str]

READABLE = "PNG, TIFF, JPEG, BMP and WebP"
DEFAULT_MAX_PIXELS = 200_000_000
MAX_PIXELS_VARIABLE = "DRFUSE_MAX_PIXELS"


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels as they stand in a file: H x W (grey) or H x W x 3 (RGB), uint8 or uint16.

    ``path`` and ``sha256`` name the file and its bytes where the image was read from one.
    ``unit``: the value of count 0 and of one count, where the file held floating-point numbers.
    Raises ``ValueError`` for any other shape or dtype.
    """

    pixels: np.ndarray
    path: str | None = None
    sha256: str | None = None
    unit: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if dtype not in (np.uint8, np.uint16):
            raise ValueError(f"pixels are {dtype}, not uint8 or uint16")
        if 0 in shape or not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
            raise ValueError(f"pixels have shape {shape}, not H x W or H x W x 3")

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def bits(self) -> int:
        """Bits per channel, 8 or 16."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def colour(self) -> bool:
        return self.pixels.ndim == 3

    @property
    def max_value(self) -> int:
        """The value of white, 255 or 65535."""
        return 255 if self.bits == 8 else 65535


# --- reading ---------------------------------------------------------------------------


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
    kind = _format(data, name)
    limit = max_pixels()
    unit = None
    try:
        pixels = _grey_if_equal(_decode(data, kind, limit, name, measured))
        if pixels.dtype == np.float32:
            pixels, unit = _counted(pixels, name)
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


_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)
_FOREIGN = (
    (b"GIF8", "a GIF"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\x89HDF", "an HDF5 file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the image itself"),
)
_RAW = b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR"
"""How RAF, RW2 and ORF begin; CR2, NEF, ARW and DNG begin as TIFF does."""
_RAW_SUFFIXES = {".cr2", ".nef", ".nrw", ".arw", ".dng", ".pef", ".srw", ".3fr", ".iiq", ".raw"}


def _format(data: bytes, name: str) -> str:
    if not data:
        raise DrfuseError("is empty", hint="Copy or export the file again.", path=name)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(_RAW) or _is_cr2(data) or data[4:12] == b"ftypcrx ":
        raise _raw(name)
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    found = next((what for signature, what in _FOREIGN if data.startswith(signature)), None)
    if found is None and data[4:8] == b"ftyp":
        found = "a HEIC, AVIF or video file"
    if data[128:132] == b"DICM" or data[344:348] == b"n+1\0":
        raise DrfuseError(
            "is a medical file", hint="drfuse fuse --task medical reads DICOM and NIfTI.", path=name
        )
    message = f"is {found}" if found else "is not an image of a known format"
    raise DrfuseError(message, hint=f"Formats that are read: {READABLE}.", path=name)


def _is_cr2(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*") and data[8:10] == b"CR"


def _raw(name: str) -> DrfuseError:
    return DrfuseError(
        "is a RAW file, as its camera's sensor counted it",
        hint="Develop it into a 16-bit TIFF, for example with dcraw_emu -6 -T FILE (LibRaw) or "
        "rawtherapee-cli -t -b16 -c FILE, and use that.",
        path=name,
    )


def max_pixels() -> int:
    """The most pixels that an image may have; raises ``DrfuseError`` for a limit that is none."""
    text = os.environ.get(MAX_PIXELS_VARIABLE, "").strip()
    if not text:
        return DEFAULT_MAX_PIXELS
    if not text.isdecimal() or int(text) == 0:
        raise DrfuseError(
            f"{MAX_PIXELS_VARIABLE} is {text!r}, not a number of pixels",
            hint=f"Unset it, or set for example {MAX_PIXELS_VARIABLE}={DEFAULT_MAX_PIXELS}.",
        )
    return int(text)


def _decode(data: bytes, kind: str, limit: int, name: str, measured: bool) -> np.ndarray:
    bits, inverted = 8, False
    if kind == "JPEG" and _is_radiometric(data):
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
            bits, inverted = _check_tiff(data, name, caught, measured)
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


def _is_radiometric(data: bytes) -> bool:
    """Whether a JPEG has the segment in which thermal cameras of FLIR store what they measured."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # filling
            at += 1
            continue
        if data[at + 1] == 0xE1 and data[at + 4 : at + 9] == b"FLIR\0":
            return True
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


_SAMPLE_FORMATS = {2: "signed integer", 3: "floating-point", 5: "complex", 6: "complex"}
_WIDTH_HINT = "Scale it to 0..65535 and save it as 16-bit PNG or TIFF."
_FLOAT_HINT = (
    f"Tone-map a picture. {_WIDTH_HINT} A grey one of 32 bits can be the infrared source of drfuse "
    "fuse, unless --agc none leaves it without a scale."
)
_RAW_PHOTOMETRIC = 32803, 34892
_RAW_COMPRESSION = 32767, 34713, 65535


def _check_tiff(
    data: bytes, name: str, caught: list[warnings.WarningMessage], measured: bool
) -> tuple[int, bool]:
    """Bits per channel (32: floating-point), and whether 16-bit grey has white as zero."""
    big = data[2:4] in (b"+\0", b"\0+")
    tags = ImageFileDirectory_v2(data[: 16 if big else 8])
    stream = io.BytesIO(data)
    stream.seek(tags.next)
    tags.load(stream)
    if _is_raw_tiff(tags, name):
        raise _raw(name)
    lost = [str(w.message) for w in caught if "Truncated" in str(w.message)]
    lost += [str(w.message) for w in caught if "Corrupt" in str(w.message)]
    if lost:
        raise ValueError(lost[0].rstrip(". "))
    if tags.next:
        raise DrfuseError(
            "holds more than one page", hint="Split it, and use one page per file.", path=name
        )
    depths, samples = set(tags.get(258, (1,))), tags.get(277, 1)
    if measured and depths == {32} and samples == 1 and set(tags.get(339, (1,))) == {3}:
        return 32, False
    for sample_format in tags.get(339, (1,)):
        if sample_format != 1:
            what = _SAMPLE_FORMATS.get(sample_format, "unknown")
            hint = _FLOAT_HINT if sample_format == 3 else _WIDTH_HINT
            raise DrfuseError(f"holds {what} pixels", hint=hint, path=name)
    if not depths <= {1, 2, 4, 8} and depths != {16}:
        raise DrfuseError(
            f"has {'/'.join(map(str, sorted(depths)))} bits per channel, not 1, 2, 4, 8 or 16",
            hint=_WIDTH_HINT,
            path=name,
        )
    photometric, planes = tags.get(262, 0), tags.get(284, 1)
    layout = (photometric, samples) in {(0, 1), (1, 1), (2, 3), (2, 4)}
    if depths == {16} and not (layout and (samples == 1 or planes == 1)):
        raise DrfuseError(
            "stores its 16-bit pixels in a layout that is not read",
            hint="Save it as 16-bit grey or RGB with interleaved channels.",
            path=name,
        )
    return max(depths), depths == {16} and photometric == 0


def _is_raw_tiff(tags: ImageFileDirectory_v2, name: str) -> bool:
    """Whether a TIFF is a camera's RAW file, whose first picture is often a mere preview."""
    preview = 330 in tags and tags.get(254, 0) == 1
    return (
        preview
        or 50706 in tags  # the version of DNG
        or tags.get(262) in _RAW_PHOTOMETRIC
        or tags.get(259) in _RAW_COMPRESSION
        or Path(name).suffix.lower() in _RAW_SUFFIXES
    )


_LEAST_BULK = 1 / 256


def _counted(values: np.ndarray, name: str) -> tuple[np.ndarray, tuple[float, float]]:
    """Floating-point numbers as 16-bit counts, and the unit of these."""
    if not np.isfinite(values).all():
        raise DrfuseError(
            "holds values that are not numbers",
            hint="Replace them, for example by the smallest value of the picture.",
            path=name,
        )
    low, high = float(values.min()), float(values.max())
    first, last = np.percentile(values, (0.1, 99.9)).tolist()
    if last - first < _LEAST_BULK * (high - low):
        raise DrfuseError(
            f"a few values lie far outside all others: {low:.6g} to {high:.6g}, where most lie "
            f"from {first:.6g} to {last:.6g}",
            hint="If they mark missing data, replace them; else save the logarithm.",
            path=name,
        )
    step = (high - low) / 65535 or 1.0
    counts = np.floor((values.astype(np.float64) - low) / step + 0.5)
    return counts.clip(0, 65535).astype(np.uint16), (low, step)


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


def too_large(name: str, limit: int) -> DrfuseError:
    """What to tell the user about an image of more than ``limit`` pixels."""
    return DrfuseError(
        f"is larger than the limit of {limit:,} pixels",
        hint=f"If you trust the file, set the environment variable {MAX_PIXELS_VARIABLE} higher.",
        path=name,
    )


# --- writing ---------------------------------------------------------------------------

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


def write_bytes(path: StrPath, data: bytes | Iterable[bytes]) -> None:
    """Replace a file by new content in one step, so that no reader ever sees half of it.

    ``data`` may come in pieces. Raises ``DrfuseError`` as `replacing` does.
    """
    with replacing(path) as temporary, open(temporary, "xb") as stream:
        stream.writelines([data] if isinstance(data, bytes) else data)


@contextmanager
def replacing(path: StrPath) -> Iterator[Path]:
    """A name beside ``path`` for a new file, which takes its place if all goes well.

    It is removed otherwise. Missing folders are made; a symbolic link is replaced, not followed.
    Raises ``DrfuseError`` with the code for the environment where the disk is full, read-only
    or failing.
    """
    target = Path(path)
    if os.path.isdir(target):
        raise DrfuseError("is a folder, not a file name", path=os.fspath(path))
    if os.path.exists(target) and not os.path.isfile(target):
        raise DrfuseError("is not a regular file", path=os.fspath(path))
    temporary = target.with_name(f".drfuse-{secrets.token_hex(8)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "r+b") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise write_error(path, error) from error
        raise


def write_error(path: StrPath, error: OSError) -> DrfuseError:
    """What to tell the user where a file cannot be written."""
    code, hint = ExitCode.ENVIRONMENT, "Write to another folder."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        message, hint = "the disk is full", "Free some space, or write to another disk."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        message = "no permission to write here"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        message, code = "a file stands where a folder is needed", ExitCode.USAGE
    elif error.errno == errno.ENAMETOOLONG:
        message, hint, code = "the name is too long", "Use a shorter name.", ExitCode.USAGE
    else:
        message = f"cannot be written ({error.strerror or error})"
    return DrfuseError(message, hint=hint, path=os.fspath(path), code=code)
