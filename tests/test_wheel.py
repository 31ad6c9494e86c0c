"""The wheel works where there is no checkout: bundled weights, entry point, `drfuse fuse`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from drfuse_cli import __version__

REPO = Path(__file__).resolve().parents[1]
Run = Callable[..., str]


def call(*command: str | Path, cwd: Path) -> str:
    """Run without the checkout in sight; returns stdout."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "DRFUSE_WEIGHTS")
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key not in hidden},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", out, REPO)
    call(*build, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a virtual environment with the wheel, and no editable install.

    The dependencies are those of this environment, by a line in a .pth file: the folder
    joins the path, but its own .pth files, and so a checkout they name, do not.
    """
    root = tmp_path_factory.mktemp("env")
    venv.create(root, with_pip=False, symlinks=True)
    python = root / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    call(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=root)
    site = Path(call(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=root)[:-1])
    places = sorted({sysconfig.get_path(kind) for kind in ("purelib", "platlib")})
    (site / "dependencies.pth").write_text("\n".join(places), encoding="utf-8")
    return root / "bin"


def test_wheel_holds_the_package_and_the_weights_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    weights = {path.name for path in (REPO / "weights").glob("*.safetensors")}
    assert weights, "no trained weights to bundle"
    wanted = {f"drfuse_cli/_weights/{name}" for name in {*weights, "manifest.json"}}
    assert wanted | {"drfuse_cli/py.typed", "drfuse_cli/cli/app.py"} <= names
    assert {name.split("/")[0] for name in names} == {
        "drfuse_cli",
        f"drfuse-{__version__}.dist-info",
    }
    assert f"drfuse-{__version__}.dist-info/licenses/LICENSE" in names


def test_package_is_imported_from_the_environment(environment: Path, tmp_path: Path) -> None:
    code = "import drfuse_cli; print(drfuse_cli.__file__)"
    imported = Path(call(environment / "python", "-c", code, cwd=tmp_path)[:-1])
    assert imported.is_relative_to(environment.parent)
    assert not imported.is_relative_to(REPO)


def test_fuse_with_the_bundled_weights(environment: Path, tmp_path: Path) -> None:
    from drfuse_cli import imageio, scenes

    pair = scenes.render("street-day", 96, 64, 0)
    for name, image in zip(("ir.png", "vis.png"), pair, strict=True):
        imageio.write_image(tmp_path / name, image)
    call(environment / "drfuse", "fuse", "ir.png", "vis.png", "-o", "out.png",
         "--degrade", "none", cwd=tmp_path)  # fmt: skip

    fused = imageio.read_image(tmp_path / "out.png")
    assert (fused.width, fused.height) == (96, 64)
    assert fused.pixels.std() > 5
    sidecar = json.loads((tmp_path / "out.png.json").read_text(encoding="utf-8"))
    assert sidecar["schema"] == "drfuse.fuse/1"
    assert sidecar["version"] == __version__
    manifest = (REPO / "weights" / "manifest.json").read_text(encoding="utf-8")
    assert sidecar["weights"]["sha256"] in manifest
