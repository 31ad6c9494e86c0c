"""TIFF before it is decoded: what it holds, and whether that is read."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio.kinds import raw_file

_SAMPLE_FORMATS = {2: "signed integer", 3: "floating-point", 5: "complex", 6: "complex"}
_WIDTH_HINT = "Scale it to 0..65535 and save it as 16-bit PNG or TIFF."
_FLOAT_HINT = (
    f"Tone-map a picture. {_WIDTH_HINT} A grey one of 32 bits can be the infrared source of drfuse "
    "fuse, unless --agc none leaves it without a scale."
)
_RAW_SUFFIXES = {".cr2", ".nef", ".nrw", ".arw", ".dng", ".pef", ".srw", ".3fr", ".iiq", ".raw"}
_RAW_PHOTOMETRIC = 32803, 34892
_RAW_COMPRESSION = 32767, 34713, 65535


def check_tiff(
    data: bytes, name: str, caught: list[warnings.WarningMessage], measured: bool
) -> tuple[int, bool]:
    """Bits per channel (32: floating-point), and whether 16-bit grey has white as zero."""
    big = data[2:4] in (b"+\0", b"\0+")
    tags = ImageFileDirectory_v2(data[: 16 if big else 8])
    stream = io.BytesIO(data)
    stream.seek(tags.next)
    tags.load(stream)
    if _is_raw_tiff(tags, name):
        raise raw_file(name)
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
