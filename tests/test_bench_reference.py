"""The bench of multi-focus pairs against the picture that is sharp everywhere."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from bench_support import load_bench
from evaluation_support import quick_fuse

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, write_image


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load_bench("quality/reference.py")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A textured picture whose left half is out of focus in ``a``, its right half in ``b``."""
    sharp = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    left = np.arange(64) < 32
    for name, image in (
        ("a", np.where(left, soft, sharp)),
        ("b", np.where(left, sharp, soft)),
        ("reference", sharp),
    ):
        write_image(tmp_path / name / "one.png", Image(image.astype(np.uint8)))
    return tmp_path


def table(bench: ModuleType, data: Path, preset: str) -> dict[str, tuple[float, float]]:
    engine: Any = SimpleNamespace(fuse=quick_fuse)
    cells = [row.strip("| ").split(" | ") for row in bench.rows(engine, data, preset, None)]
    return {method: (float(db), float(ssim)) for _, method, db, ssim in cells}


def test_the_sharper_of_both_is_closer_to_the_reference(bench: ModuleType, data: Path) -> None:
    found = table(bench, data, "none")
    assert set(found) == {"drfuse", *bench.FUSERS}
    assert found["guided"] > found["average"]
    assert found["laplacian"][1] > found["average"][1] + 0.05


def test_what_is_degraded_is_restored_first(bench: ModuleType, data: Path) -> None:
    found = table(bench, data, "noise")
    assert set(found) == {"drfuse", *(f"restore+{name}" for name in bench.FUSERS)}


def test_a_missing_reference_is_named(bench: ModuleType, data: Path) -> None:
    (data / "reference" / "one.png").unlink()
    with pytest.raises(DrfuseError, match="no reference for one"):
        table(bench, data, "none")
