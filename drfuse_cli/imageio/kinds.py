"""What kind of file some bytes are, and what to say of those that are not read."""

from __future__ import annotations

from drfuse_cli.errors import DrfuseError

READABLE = "PNG, TIFF, JPEG, BMP and WebP"

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


def kind_of(data: bytes, name: str) -> str:
    """PNG, JPEG, TIFF, BMP or WEBP, by how a file begins; ``DrfuseError`` for anything else."""
    if not data:
        raise DrfuseError("is empty", hint="Copy or export the file again.", path=name)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(_RAW) or _is_cr2(data) or data[4:12] == b"ftypcrx ":
        raise raw_file(name)
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


def raw_file(name: str) -> DrfuseError:
    """What to tell the user about a camera's RAW file."""
    return DrfuseError(
        "is a RAW file, as its camera's sensor counted it",
        hint="Develop it into a 16-bit TIFF, for example with dcraw_emu -6 -T FILE (LibRaw) or "
        "rawtherapee-cli -t -b16 -c FILE, and use that.",
        path=name,
    )


def is_radiometric(data: bytes) -> bool:
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
