"""Files as cameras write them: measured floating-point, radiometric JPEG, RAW."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import Image, decode_image, encode_image

CELSIUS = np.random.default_rng(0).uniform(-12.5, 41.25, (30, 40)).astype(np.float32)
GREY = Image((CELSIUS * 2 + 100).astype(np.uint8))


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, "TIFF", **options)
    return stream.getvalue()


def refusal(data: bytes, match: str, name: str = "x.tif", measured: bool = False) -> DrfuseError:
    with pytest.raises(DrfuseError, match=match) as caught:
        decode_image(data, name, measured)
    assert caught.value.path == name
    assert caught.value.code is ExitCode.USAGE
    assert caught.value.hint
    return caught.value


# ---- floating point ---------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "tiff_deflate", "tiff_lzw"])
def test_measured_values_are_read(compression: str | None) -> None:
    image = decode_image(tiff(CELSIUS, compression=compression), "x.tif", measured=True)
    assert (image.bits, image.colour) == (16, False)
    assert (image.pixels.min(), image.pixels.max()) == (0, 65535)
    assert image.unit is not None
    zero, step = image.unit
    assert zero == CELSIUS.min()
    np.testing.assert_allclose(zero + step * image.pixels, CELSIUS, atol=step / 2 + 1e-6)


def test_one_value_everywhere() -> None:
    image = decode_image(tiff(np.full((3, 4), 21.5, np.float32)), "x.tif", measured=True)
    assert image.unit == (21.5, 1.0)
    assert not image.pixels.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_numbers(value: float) -> None:
    broken = CELSIUS.copy()
    broken[3, 3] = value
    refusal(tiff(broken), "not numbers", measured=True)


def test_marks_of_missing_data() -> None:
    broken = np.tile(CELSIUS, (10, 10))
    broken[3, 3] = -1e5
    told = refusal(tiff(broken), "a few values lie far outside", measured=True)
    assert "-100000 to 41.2" in told.message


def test_only_where_it_was_asked_for() -> None:
    told = refusal(tiff(CELSIUS), "floating-point")
    assert "infrared source" in str(told.hint)


def test_a_truncated_one_is_damaged() -> None:
    data = tiff(CELSIUS, compression="tiff_deflate")
    for length in range(len(data) // 2, len(data) - 30, 97):
        refusal(data[:length], "damaged", measured=True)


# ---- radiometric JPEG --------------------------------------------------------------------------


def with_segment(data: bytes, marker: int, content: bytes, *, filling: bytes = b"") -> bytes:
    """A JPEG with one more segment behind its first."""
    end = 4 + int.from_bytes(data[4:6], "big")
    segment = struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
    return data[:end] + filling + segment + data[end:]


@pytest.mark.parametrize("filling", [b"", b"\xff\xff"])
def test_radiometric_jpeg_is_refused(filling: bytes) -> None:
    jpeg = encode_image(GREY, ".jpg")
    data = with_segment(jpeg, 0xE1, b"FLIR\0\1\0\0" + bytes(64), filling=filling)
    told = refusal(data, "radiometric JPEG", "FLIR0001.jpg")
    assert "-RawThermalImage FLIR0001.jpg" in str(told.hint)
    assert "16-bit TIFF" in str(told.hint)


def test_other_segments_are_no_thermal_camera() -> None:
    jpeg = encode_image(GREY, ".jpg")
    for marker, content in ((0xE1, b"http://ns.adobe.com/xap/1.0/\0FLIR"), (0xFE, b"FLIR\0")):
        assert decode_image(with_segment(jpeg, marker, content), "x.jpg").width == 40


# ---- RAW ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"II*\0\x10\0\0\0CR\2\0",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"FUJIFILMCCD-RAW 0201FF383501",
        b"IIU\0\x18\0\0\0",
        b"IIRO\x08\0\0\0",
        b"MMOR\0\0\0\x08",
    ],
    ids=["CR2", "CR3", "RAF", "RW2", "ORF", "ORF-big"],
)
def test_raw_by_its_first_bytes(head: bytes) -> None:
    told = refusal(head + bytes(500), "RAW file")
    assert "dcraw_emu" in str(told.hint)


@pytest.mark.parametrize(
    "tags",
    [{50706: b"\1\4\0\0"}, {262: 32803}, {262: 34892}, {259: 34713}, {259: 32767}],
    ids=["DNG", "mosaic", "linear", "NEF", "ARW"],
)
def test_raw_by_what_its_tiff_says(tags: dict[int, Any]) -> None:
    data = bytearray(tiff(GREY.pixels, tiffinfo=tags if 50706 in tags else {}))
    for tag, value in tags.items():
        if isinstance(value, int):
            at = data.index(struct.pack("<HHI", tag, 3, 1))
            data[at + 8 : at + 12] = struct.pack("<I", value)
    refusal(bytes(data), "RAW file")


def test_a_preview_is_not_taken_for_the_photograph() -> None:
    data = tiff(GREY.pixels, tiffinfo={254: 1, 330: 8})
    refusal(data, "RAW file")
    assert decode_image(tiff(GREY.pixels, tiffinfo={254: 1}), "x.tif").width == 40


@pytest.mark.parametrize("suffix", [".NEF", ".dng", ".arw", ".pef"])
def test_raw_by_its_name(suffix: str) -> None:
    refusal(tiff(GREY.pixels), "RAW file", f"photo{suffix}")
    assert decode_image(encode_image(GREY, ".png"), f"photo{suffix}").width == 40


def test_radiance(tmp_path: Path) -> None:
    refusal(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance HDR")
