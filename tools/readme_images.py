"""The contact sheets of a demo as JPEG in docs/images: ``python tools/readme_images.py demo``."""

from __future__ import annotations

import sys
from pathlib import Path

from drfuse_cli.imageio import read_image, write_image

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SHEETS = {"street-day": "composite", "street-night": "noise", "mri-pet": "composite"}


def main(demo: Path) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    for scene, preset in SHEETS.items():
        sheet = read_image(demo / scene / preset / "sheet.png")
        write_image(IMAGES / f"{scene}-{preset}.jpg", sheet)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
