"""Reading and writing image files: exactness, hazards, atomicity."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from drfuse_cli import imageio
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import (
    Image,
    check_suffix,
    decode_image,
    encode_image,
    read_image,
    write_bytes,
    write_image,
)

LOSSLESS_8 = [".png", ".tif", ".tiff", ".bmp", ".webp"]
SUFFIXES_16 = [".png", ".tif", ".tiff"]
FORMATS = {".png": "PNG", ".tif": "TIFF", ".jpg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}


def noise(*shape: int, bits: int = 8, seed: int = 0) -> np.ndarray:
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bits, shape, dtype=dtype)


def decode(data: bytes) -> np.ndarray:
    return decode_image(data, "x").pixels


def refusal(data: bytes, match: str) -> DrfuseError:
    with pytest.raises(DrfuseError, match=match) as caught:
        decode_image(data, "folder/x.png")
    assert caught.value.path == "folder/x.png"
    assert caught.value.code is ExitCode.USAGE
    assert "object at 0x" not in str(caught.value)
    return caught.value


def pillow_bytes(pixels: Any, form: str, mode: str | None = None, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, form, **options)
    return stream.getvalue()


# --- writers that share no code with what is tested ---------------------------------------


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


# first row, row step, first column, column step of the seven passes of an interlaced PNG
ADAM7 = [
    *[(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4)],
    *[(2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1)],
]


def png_bytes(
    pixels: np.ndarray,
    extra: bytes = b"",
    size: tuple[int, int] | None = None,
    interlaced: bool = False,
) -> bytes:
    """PNG of 1 (grey), 2 (grey, alpha), 3 or 4 channels; chunks in ``extra`` come before IDAT."""
    height, width = size or pixels.shape[:2]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]]
    header = (width, height, 8 * pixels.itemsize, colour_type, 0, 0, int(interlaced))
    big_endian = pixels.astype(pixels.dtype.newbyteorder(">"))
    passes = [big_endian[a::b, c::d] for a, b, c, d in ADAM7] if interlaced else [big_endian]
    rows = [b"\0" + row.tobytes() for part in passes if part.size for row in part]
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", *header))
        + extra
        + png_chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + png_chunk(b"IEND", b"")
    )


def exif_orientation(orientation: int) -> bytes:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes().removeprefix(b"Exif\0\0")


def tiff_bytes(
    pixels: np.ndarray, order: str = "<", deflate: bool = False, planar: bool = False, **tags: int
) -> bytes:
    """A TIFF of one page; ``tags`` are t262=... and so on and replace the usual values."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    raw = pixels.astype(pixels.dtype.newbyteorder(order))
    planes = [raw[..., i].tobytes() for i in range(channels)] if planar else [raw.tobytes()]
    if deflate:
        planes = [zlib.compress(plane) for plane in planes]
    offsets = [8 + sum(map(len, planes[:i])) for i in range(len(planes) + 1)]
    if offsets[-1] % 2:
        planes[-1] += b"\0"
        offsets[-1] += 1
    sample_format, bits = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind], 8 * pixels.itemsize
    fields: dict[int, tuple[str, list[int]]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [tags.pop("t258", bits)] * channels),
        259: ("H", [8 if deflate else 1]),
        262: ("H", [2 if channels >= 3 else 1]),
        273: ("I", offsets[:-1]),
        277: ("H", [channels]),
        278: ("I", [height]),
        279: ("I", [len(plane) for plane in planes]),
        284: ("H", [2 if planar else 1]),
        339: ("H", [sample_format] * channels),
    }
    fields |= {int(name[1:]): ("H", [value]) for name, value in tags.items()}
    directory, tail = struct.pack(order + "H", len(fields)), b""
    after = offsets[-1] + 2 + 12 * len(fields) + 4
    for tag, (kind, values) in sorted(fields.items()):
        content = struct.pack(f"{order}{len(values)}{kind}", *values)
        entry = struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[kind], len(values))
        if len(content) > 4:
            pointer = struct.pack(order + "I", after + len(tail))
            tail, content = tail + content, pointer
        directory += entry + content.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", offsets[-1])
    return head + b"".join(planes) + directory + struct.pack(order + "I", 0) + tail


# --- the value object ------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_image_describes_its_pixels(bits: int, shape: tuple[int, ...]) -> None:
    image = Image(noise(*shape, bits=bits))
    assert (image.height, image.width, image.bits) == (5, 7, bits)
    assert image.colour is (len(shape) == 3)
    assert image.max_value == 2**bits - 1


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 2)),
        np.zeros((2, 2), np.int16),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((2, 0), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_image_refuses_other_arrays(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pixels"):
        Image(pixels)


# --- round trips -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1), (1, 9), (9, 1, 3), (64, 31, 3)])
@pytest.mark.parametrize(
    ("suffix", "bits"), [(s, 8) for s in LOSSLESS_8] + [(s, 16) for s in SUFFIXES_16]
)
def test_lossless_round_trip(
    tmp_path: Path, suffix: str, bits: int, shape: tuple[int, ...]
) -> None:
    pixels = noise(*shape, bits=bits)
    path = tmp_path / f"x{suffix}"
    write_image(path, Image(pixels))
    image = read_image(path)
    assert image.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.pixels.flags.c_contiguous
    assert image.pixels.flags.writeable
    assert image.path == str(path)
    assert image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_is_close_and_not_subsampled(suffix: str) -> None:
    ramp = np.mgrid[0:48, 0:64].sum(0).astype(np.uint8)
    pixels = np.stack([ramp, ramp[::-1], 255 - ramp], -1)
    data = encode_image(Image(pixels), suffix)
    assert np.abs(decode(data).astype(int) - pixels).max() <= 6
    sampling = [component[1:3] for component in PIL.Image.open(io.BytesIO(data)).layer]
    assert sampling == [(1, 1)] * 3


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp", ".webp"])
def test_same_bytes_on_every_call(suffix: str) -> None:
    image = Image(noise(20, 30, 3))
    assert encode_image(image, suffix) == encode_image(image, suffix)


def test_png_carries_nothing_but_pixels() -> None:
    data, kinds, position = encode_image(Image(noise(20, 30, 3)), ".png"), set(), 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        kinds.add(kind)
        position += 12 + length
    assert kinds == {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.parametrize("suffix", SUFFIXES_16)
def test_dark_16_bit_stays_16_bit(suffix: str) -> None:
    pixels = noise(9, 9).astype(np.uint16)
    result = decode(encode_image(Image(pixels), suffix))
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result, pixels)


@pytest.mark.parametrize("bits", [8, 16])
def test_non_contiguous_pixels_are_written_as_seen(bits: int) -> None:
    pixels = noise(12, 14, 3, bits=bits)[::2, ::-2]
    np.testing.assert_array_equal(decode(encode_image(Image(pixels), ".png")), pixels)


# --- other people's files --------------------------------------------------------------


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (5, 7, 2), (5, 7, 3), (5, 7, 4)])
def test_png_of_another_writer(bits: int, shape: tuple[int, ...], interlaced: bool) -> None:
    pixels = noise(*shape, bits=bits)
    expected = pixels[..., 0] if shape[2:] == (2,) else pixels[..., :3] if shape[2:] else pixels
    result = decode(png_bytes(pixels, interlaced=interlaced))
    assert result.dtype == pixels.dtype
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_tiff_of_another_writer(
    bits: int, deflate: bool, order: str, shape: tuple[int, ...]
) -> None:
    pixels = noise(*shape, bits=bits)
    result = decode(tiff_bytes(pixels, order, deflate))
    assert result.dtype == pixels.dtype
    np.testing.assert_array_equal(result, pixels[..., :3] if pixels.ndim == 3 else pixels)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("deflate", [False, True])
def test_tiff_with_white_as_zero_is_inverted(bits: int, deflate: bool) -> None:
    pixels = noise(5, 7, bits=bits)
    np.testing.assert_array_equal(decode(tiff_bytes(pixels, deflate=deflate, t262=0)), ~pixels)


def test_tiff_with_separate_planes_at_8_bits() -> None:
    pixels = noise(5, 7, 3)
    np.testing.assert_array_equal(decode(tiff_bytes(pixels, planar=True)), pixels)


@pytest.mark.parametrize("extra", [b"gAMA\0\0\xb1\x8f", b"gAMA\0\1\x86\xa0", b"sBIT\x0c\x0c\x0c"])
def test_16_bit_png_ignores_gamma_and_significant_bits(extra: bytes) -> None:
    pixels = noise(5, 7, 3, bits=16)
    data = png_bytes(pixels, png_chunk(extra[:4], extra[4:]))
    np.testing.assert_array_equal(decode(data), pixels)


@pytest.mark.parametrize("bits", [8, 16])
def test_equal_channels_become_grey(bits: int) -> None:
    grey = noise(5, 7, bits=bits)
    colour = np.repeat(grey[..., None], 3, 2)
    for data in (png_bytes(colour), tiff_bytes(colour), encode_image(Image(colour), ".tif")):
        np.testing.assert_array_equal(decode(data), grey)
    colour[4, 6, 2] ^= 1
    for data in (png_bytes(colour), tiff_bytes(colour)):
        np.testing.assert_array_equal(decode(data), colour)


@pytest.mark.filterwarnings("error")
def test_palette() -> None:
    pixels = noise(6, 6, 3) // 64 * 64
    paletted = PIL.Image.fromarray(pixels).quantize(64)
    expected = np.array(paletted.convert("RGB"))
    assert expected.std() > 10
    for data in (
        pillow_bytes(paletted, "PNG"),
        pillow_bytes(paletted, "PNG", transparency=3),
        pillow_bytes(paletted, "PNG", transparency=bytes(range(64))),
        pillow_bytes(paletted, "BMP"),
        pillow_bytes(paletted, "TIFF"),
    ):
        np.testing.assert_array_equal(decode(data), expected)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_one_bit(form: str) -> None:
    bits = noise(5, 11) > 127
    np.testing.assert_array_equal(decode(pillow_bytes(bits, form)), bits * np.uint8(255))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_with_few_grey_levels(bits: int) -> None:
    stored = np.arange(2**bits, dtype=np.uint8).repeat(8)
    rows = np.unpackbits(stored[:, None], axis=1)[:, 8 - bits :].tobytes()
    packed = np.packbits(np.frombuffer(rows, np.uint8)).tobytes()
    data = (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", len(stored), 1, bits, 0, 0, 0, 0))
        + png_chunk(b"IDAT", zlib.compress(b"\0" + packed))
        + png_chunk(b"IEND", b"")
    )
    expected = stored.astype(int) * 255 // (2**bits - 1)
    np.testing.assert_array_equal(decode(data), expected[None])


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_grey_with_alpha(form: str) -> None:
    pixels = noise(5, 7, 2)
    np.testing.assert_array_equal(decode(pillow_bytes(pixels, form)), pixels[..., 0])


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "WEBP"])
def test_transparent_pixels_keep_their_colour(form: str) -> None:
    pixels = noise(5, 7, 4)
    pixels[:, :3, 3] = 0
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    np.testing.assert_array_equal(decode(pillow_bytes(pixels, form, **options)), pixels[..., :3])


def test_transparent_key_colour_is_dropped() -> None:
    for bits in (8, 16):
        grey = noise(5, 7, bits=bits)
        key = png_chunk(b"tRNS", struct.pack(">H", int(grey[0, 0])))
        np.testing.assert_array_equal(decode(png_bytes(grey, key)), grey)
        pixels = noise(5, 7, 3, bits=bits)
        key = png_chunk(b"tRNS", struct.pack(">HHH", *pixels[0, 0].tolist()))
        np.testing.assert_array_equal(decode(png_bytes(pixels, key)), pixels)


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk(form: str) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8], pixels[8:] = (200, 40, 90), (30, 220, 160)
    result = decode(pillow_bytes(pixels, form, "CMYK"))
    assert result.shape == pixels.shape
    assert np.abs(result.astype(int) - pixels).max() <= 6


def test_jpeg_with_a_second_picture_gives_the_first() -> None:
    first, second = (PIL.Image.new("L", (8, 8), value) for value in (60, 200))
    data = pillow_bytes(first, "MPO", save_all=True, append_images=[second])
    assert np.abs(decode(data).astype(int) - 60).max() <= 2


# --- orientation -----------------------------------------------------------------------

# How an upright image is stored, by the EXIF value that undoes it.
STORED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize("bits", [8, 16])
def test_orientation_of_png_and_tiff(orientation: int, shape: tuple[int, ...], bits: int) -> None:
    upright = noise(*shape, bits=bits)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    exif = png_chunk(b"eXIf", exif_orientation(orientation))
    np.testing.assert_array_equal(decode(png_bytes(stored, exif)), upright)
    for deflate in (False, True):
        data = tiff_bytes(stored, deflate=deflate, t274=orientation)
        np.testing.assert_array_equal(decode(data), upright)


@pytest.mark.parametrize("orientation", STORED)
def test_orientation_of_jpeg_and_webp(orientation: int) -> None:
    upright = np.kron(noise(2, 3, 3), np.ones((16, 16, 1), np.uint8))
    stored = np.ascontiguousarray(STORED[orientation](upright))
    exif = b"Exif\0\0" + exif_orientation(orientation)
    webp = decode(pillow_bytes(stored, "WEBP", exif=exif, lossless=True))
    np.testing.assert_array_equal(webp, upright)
    jpeg = decode(pillow_bytes(stored, "JPEG", exif=exif, quality=98, subsampling=0))
    assert jpeg.shape == upright.shape
    assert np.abs(jpeg.astype(int) - upright).max() < 20


@pytest.mark.parametrize("orientation", [0, 9, 65535])
@pytest.mark.parametrize("bits", [8, 16])
def test_meaningless_orientation_is_ignored(orientation: int, bits: int) -> None:
    pixels = noise(5, 7, bits=bits)
    exif = png_chunk(b"eXIf", exif_orientation(orientation))
    np.testing.assert_array_equal(decode(png_bytes(pixels, exif)), pixels)
    np.testing.assert_array_equal(decode(tiff_bytes(pixels, t274=orientation)), pixels)


def test_damaged_exif_is_ignored() -> None:
    pixels = noise(5, 7)
    for exif in (b"", b"MM", b"MM\0*\0\0\0\x08\xff\xff\1\x12", b"nonsense"):
        np.testing.assert_array_equal(decode(png_bytes(pixels, png_chunk(b"eXIf", exif))), pixels)


# --- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("named", [".jpg", ".tif", ".txt", ""])
@pytest.mark.parametrize("suffix", FORMATS)
def test_content_decides_and_not_the_suffix(tmp_path: Path, suffix: str, named: str) -> None:
    path = tmp_path / f"x{named}"
    path.write_bytes(encode_image(Image(np.full((8, 9), 77, np.uint8)), suffix))
    np.testing.assert_array_equal(read_image(path).pixels, 77)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "is empty"),
        (b"\0", "not an image"),
        (b"just some text, no image\n", "not an image"),
        (b"GIF89a" + bytes(99), "a GIF"),
        (b"PK\x03\x04" + bytes(99), "ZIP"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x20ftypheic" + bytes(99), "HEIC"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"BM, said the text", "damaged"),
        (b"II*\0" + bytes(4), "damaged"),
    ],
)
def test_no_image(data: bytes, match: str) -> None:
    assert refusal(data, match).hint


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path, match in (
        (tmp_path / "missing.png", "no such file"),
        (tmp_path, "is a folder"),
        (Path(__file__) / "x.png", "no such file"),
    ):
        with pytest.raises(DrfuseError, match=match) as caught:
            read_image(path)
        assert caught.value.path == str(path)
        assert caught.value.code is ExitCode.USAGE


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DrfuseError, match="regular file"):
        read_image(tmp_path / "pipe.png")
    with pytest.raises(DrfuseError, match="regular file"):
        write_bytes(tmp_path / "pipe.png", b"x")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe.png").st_mode)


@pytest.mark.parametrize(
    ("error", "match", "code"),
    [
        (PermissionError(errno.EACCES, "denied"), "no permission", ExitCode.USAGE),
        (OSError(errno.EIO, "input/output error"), "input/output error", ExitCode.ENVIRONMENT),
    ],
)
def test_reading_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, match: str, code: ExitCode
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png_bytes(noise(5, 7)))

    def fail(_: Path) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(DrfuseError, match=match) as caught:
        read_image(path)
    assert caught.value.code is code


def test_bomb_is_refused_before_decoding() -> None:
    """The pixel data is missing: a decoder that started would call the file truncated."""
    for pixels in (noise(5, 7), noise(5, 7, 3, bits=16)):
        refusal(png_bytes(pixels, size=(60_000, 60_000)), "larger than the limit of 200,000,000")
    refusal(tiff_bytes(noise(5, 7), t256=60_000, t257=60_000), "larger than the limit")
    bmp = bytearray(encode_image(Image(noise(5, 7)), ".bmp"))
    struct.pack_into("<ii", bmp, 18, 60_000, 60_000)
    refusal(bytes(bmp), "larger than the limit")


@pytest.mark.parametrize("suffix", FORMATS)
def test_limit_is_exact_and_can_be_set(monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    data = encode_image(Image(noise(5, 7)), suffix)
    monkeypatch.setenv("DRFUSE_MAX_PIXELS", "34")
    assert "DRFUSE_MAX_PIXELS" in str(refusal(data, "limit of 34 pixels"))
    monkeypatch.setenv("DRFUSE_MAX_PIXELS", "35")
    assert decode(data).shape == (5, 7)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.filterwarnings("error")
def test_pillows_own_limit_is_set_aside_and_restored(
    monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    data = encode_image(Image(noise(5, 7)), suffix)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10)
    assert decode(data).shape == (5, 7)
    refusal(data[: len(data) // 2], "damaged")
    assert PIL.Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("value", ["many", "-1", "0", "1e6", "1.5"])
def test_limit_must_be_a_number(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DRFUSE_MAX_PIXELS", value)
    with pytest.raises(DrfuseError, match="DRFUSE_MAX_PIXELS"):
        decode_image(png_bytes(noise(5, 7)), "x")


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(DrfuseError, match="larger than the limit"):
        read_image(path)


def test_memory_that_runs_out_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(imageio.read, "_with_opencv", fail)
    with pytest.raises(DrfuseError, match="not enough memory") as caught:
        decode_image(png_bytes(noise(5, 7)), "x")
    assert caught.value.code is ExitCode.ENVIRONMENT


def two_frames(form: str) -> bytes:
    second = PIL.Image.new("L", (4, 3), 200)
    return pillow_bytes(np.zeros((3, 4), np.uint8), form, save_all=True, append_images=[second])


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (tiff_bytes(np.full((3, 4), 0.5, np.float32)), "floating-point"),
        (tiff_bytes(np.full((3, 4), np.nan, np.float32)), "floating-point"),
        (tiff_bytes(np.full((3, 4), 0.5)), "floating-point"),
        (tiff_bytes(np.full((3, 4, 3), 0.5, np.float32), deflate=True), "floating-point"),
        (tiff_bytes(np.full((3, 4), 0.5, np.float16)), "floating-point"),
        (tiff_bytes(np.full((3, 4), -5, np.int16)), "signed integer"),
        (tiff_bytes(np.full((3, 4), -5, np.int8)), "signed integer"),
        (tiff_bytes(np.full((3, 4), 5, np.uint32)), "32 bits per channel"),
        (tiff_bytes(np.full((3, 4), 5, np.uint16), t258=12), "12 bits per channel"),
        (tiff_bytes(noise(3, 4, 3, bits=16), planar=True), "layout"),
        (tiff_bytes(noise(3, 4, 3, bits=16), t262=8), "layout"),
        (tiff_bytes(noise(3, 4, 4, bits=16), t262=5), "layout"),
        (tiff_bytes(noise(3, 4, 2, bits=16)), "layout"),
        (tiff_bytes(noise(3, 4, 3), t262=8), "LAB"),
        (two_frames("TIFF"), "more than one page"),
        (two_frames("PNG"), "animated"),
        (two_frames("WEBP"), "animated"),
    ],
)
def test_kinds_that_are_refused_with_a_hint(data: bytes, match: str) -> None:
    assert refusal(data, match).hint


# --- damage ----------------------------------------------------------------------------


def samples() -> dict[str, bytes]:
    """One file of every format, depth and colour."""
    found = {}
    for colour, shape in (("grey", (13, 17)), ("colour", (13, 17, 3))):
        for suffix in FORMATS:
            found[f"8-{colour}{suffix}"] = encode_image(Image(noise(*shape)), suffix)
        for suffix in (".png", ".tif"):
            data = encode_image(Image(noise(*shape, bits=16)), suffix)
            found[f"16-{colour}{suffix}"] = data
            found[f"16-{colour}-raw.tif"] = tiff_bytes(noise(*shape, bits=16))
    exif = b"Exif\0\0" + exif_orientation(6)
    found["progressive.jpg"] = pillow_bytes(noise(33, 40, 3), "JPEG", progressive=True, exif=exif)
    found["lossy.webp"] = pillow_bytes(noise(33, 40, 4), "WEBP", exif=exif)
    found["jpeg.tif"] = pillow_bytes(noise(16, 16, 3), "TIFF", compression="jpeg")
    return found


SAMPLES = samples()


@pytest.mark.parametrize("name", SAMPLES)
def test_truncated_anywhere(name: str) -> None:
    data = SAMPLES[name]
    decode(data)
    padding = 3 if name.endswith(".bmp") else 0  # its rows are filled up to four bytes
    end = len(data) - padding
    for length in {*range(0, end, 7), *range(end - 24, end)}:
        refusal(data[:length], "damaged|empty|not an image")


@pytest.mark.parametrize("name", SAMPLES)
def test_bit_flips_give_an_error_or_an_image(name: str) -> None:
    draw = random.Random(name)
    for _ in range(150):
        data = bytearray(SAMPLES[name])
        for _ in range(draw.choice((1, 2, 8))):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        if draw.random() < 0.3:
            at = draw.randrange(len(data))
            data[at : at + draw.randrange(9)] = draw.randbytes(draw.randrange(9))
        with suppress(DrfuseError):
            assert isinstance(decode_image(bytes(data), "x"), Image)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith(".png")])
def test_png_with_any_flipped_bit_is_refused(name: str) -> None:
    draw = random.Random(name)
    for _ in range(100):
        data = bytearray(SAMPLES[name])
        data[draw.randrange(8, len(data))] ^= 1 << draw.randrange(8)
        refusal(bytes(data), "damaged")


@pytest.mark.parametrize("bits", [8, 16])
def test_png_with_right_checksums_but_missing_rows(bits: int) -> None:
    pixels = noise(9, 7, 3, bits=bits)
    refusal(png_bytes(pixels, size=(12, 7)), "damaged")


# --- writing ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".bmp", ".webp", ".WebP"])
def test_16_bits_are_refused_where_they_would_be_lost(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"new/x{suffix}"
    with pytest.raises(DrfuseError, match="16 bits") as caught:
        write_image(path, Image(noise(5, 7, bits=16)))
    assert ".png or .tif" in str(caught.value)
    assert caught.value.path == str(path)
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["x.gif", "x", "x.png.txt", ".png"])
def test_unknown_suffix_lists_the_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(DrfuseError, match=r"\.png, \.tif") as caught:
        write_image(tmp_path / name, Image(noise(5, 7)))
    assert caught.value.code is ExitCode.USAGE
    assert not list(tmp_path.iterdir())


def test_check_suffix_accepts_what_encode_image_writes() -> None:
    check_suffix(".PNG", 16)
    check_suffix(".jpeg")
    assert encode_image(Image(noise(5, 7, bits=16)), ".PNG").startswith(b"\x89PNG")


@pytest.mark.parametrize(("suffix", "width"), [(".jpg", 65_536), (".webp", 16_384)])
def test_size_that_the_format_cannot_hold(suffix: str, width: int) -> None:
    with pytest.raises(DrfuseError, match=f"{width} x 1 pixels"):
        encode_image(Image(np.zeros((1, width), np.uint8)), suffix)


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_image(tmp_path / "a/b/x.png", Image(noise(5, 7)))
    assert (tmp_path / "a/b/x.png").is_file()


def test_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"old")
    with pytest.raises(DrfuseError, match="already exists"):
        write_image(path, Image(noise(5, 7)), overwrite=False)
    assert path.read_bytes() == b"old"
    write_image(path, Image(noise(5, 7)))
    np.testing.assert_array_equal(read_image(path).pixels, noise(5, 7))


def test_symbolic_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"old")
    (tmp_path / "x.bin").symlink_to(tmp_path / "precious")
    write_bytes(tmp_path / "x.bin", b"new")
    assert (tmp_path / "precious").read_bytes() == b"old"
    assert not (tmp_path / "x.bin").is_symlink()
    assert (tmp_path / "x.bin").read_bytes() == b"new"


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_bytes(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(sys.platform != "linux", reason="file names must be Unicode here")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"\xff\xfe")
    path = os.fsdecode(os.path.join(folder, b"caf\xe9 [b].png"))
    pixels = noise(5, 7, 3, bits=16)
    write_image(path, Image(pixels))
    np.testing.assert_array_equal(read_image(path).pixels, pixels)
    with pytest.raises(DrfuseError, match="no such file"):
        read_image(path + ".png")


def test_folders_and_files_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    for path, match in (
        (tmp_path, "is a folder"),
        (tmp_path / "file/x.png", "a file stands"),
        (tmp_path / "file/deeper/x.png", "a file stands"),
        (tmp_path / ("long" * 100) / "x.png", "too long"),
    ):
        with pytest.raises(DrfuseError, match=match) as caught:
            write_bytes(path, b"new")
        assert caught.value.code is ExitCode.USAGE
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


FAILURES = [
    (OSError(errno.ENOSPC, "no space"), DrfuseError, "disk is full"),
    (OSError(errno.EROFS, "read-only"), DrfuseError, "no permission"),
    (PermissionError(errno.EACCES, "denied"), DrfuseError, "no permission"),
    (OSError(errno.EIO, "input/output error"), DrfuseError, "input/output error"),
    (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
    (ZeroDivisionError("a bug"), ZeroDivisionError, "a bug"),
]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize(("error", "expected", "match"), FAILURES)
def test_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    error: BaseException,
    expected: type[BaseException],
    match: str,
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"old")
    leftovers: list[list[str]] = []

    def fail(*_: Any) -> None:
        leftovers.append([p.name for p in tmp_path.iterdir()])
        raise error

    monkeypatch.setattr(os, moment, fail)
    with pytest.raises(expected, match=match) as caught:
        write_image(path, Image(noise(5, 7)))
    assert len(leftovers[0]) == 2  # there was a temporary file beside the old one
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]
    assert path.read_bytes() == b"old"
    if isinstance(caught.value, DrfuseError):
        assert caught.value.code is ExitCode.ENVIRONMENT
        assert caught.value.path == str(path)


def test_write_that_really_stops_half_way(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(DrfuseError) as caught:
            write_bytes(path, bytes(1 << 18))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code is ExitCode.ENVIRONMENT
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(DrfuseError, match="no permission") as caught:
            write_bytes(tmp_path / "x.bin", b"new")
    finally:
        tmp_path.chmod(0o755)
    assert caught.value.code is ExitCode.ENVIRONMENT


def test_killed_while_writing(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    program = (
        "import os, sys; from drfuse_cli.imageio import write_bytes\n"
        "os.fsync = lambda _: os.kill(os.getpid(), 9)\n"
        "write_bytes(sys.argv[1], bytes(1 << 20))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
