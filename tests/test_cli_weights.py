"""`drfuse weights` and `drfuse doctor`."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_support import Cli

from drfuse_cli import weights
from drfuse_cli.cli import doctor as doctor_module
from drfuse_cli.models import build_network
from drfuse_cli.networks.fusion_net import Architecture


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bundled weights: a small real network and its manifest."""
    folder = tmp_path_factory.mktemp("bundle")
    architecture = Architecture(
        widths=(8, 12, 16), depths=(1, 1, 1), step_blocks=1, embedding=8
    ).as_dict()
    network = build_network(architecture)
    path = folder / "small.safetensors"
    sha256 = weights.save_weights(path, network.state_dict(), architecture, "ivif")
    count = sum(tensor.numel() for tensor in network.state_dict().values())
    row = {"name": "small", "file": path.name, "sha256": sha256, "task": "ivif",
           "method": "drfusion", "default": True, "architecture": architecture,
           "parameters": count, "licence": "MIT", "training": {"steps": 5},
           "validation": {}}  # fmt: skip
    manifest = {"schema": weights.SCHEMA, "weights": [row]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bundle"
    shutil.copytree(made, folder)
    monkeypatch.setattr(weights, "weights_folder", lambda: folder)
    return folder


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "weights_folder", lambda: None)


def damage(folder: Path) -> None:
    path = folder / "small.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_list(drfuse: Cli, bundle: Path) -> None:
    done = drfuse("weights", "list")
    assert "small (default)" in done.text
    assert "ivif" in done.text
    found = json.loads(drfuse("weights", "list", "--json").out)
    assert found["schema"] == "drfuse.weights-list/1"
    assert [w["name"] for w in found["weights"]] == ["small"]


@pytest.mark.usefixtures("nothing")
def test_nothing_bundled(drfuse: Cli) -> None:
    assert "No weights are bundled" in drfuse("weights", "list").err
    assert json.loads(drfuse("weights", "list", "--json").out)["weights"] == []
    assert "no weights are bundled" in drfuse("weights", "verify", code=3).err


def test_info(drfuse: Cli, bundle: Path) -> None:
    lines = drfuse("weights", "info", "small").text.splitlines()
    assert "licence: MIT" in lines
    assert "training:" in lines
    assert "  steps: 5" in lines
    document = json.loads(drfuse("weights", "info", "small", "--json").out)
    data = (bundle / "small.safetensors").read_bytes()
    assert document["sha256"] == hashlib.sha256(data).hexdigest()
    assert "missing.safetensors" in drfuse("weights", "info", "missing.safetensors", code=3).err


def test_verify(drfuse: Cli, bundle: Path) -> None:
    assert drfuse("weights", "verify").text == "small: ok\n"
    path = bundle / "small.safetensors"
    assert drfuse("weights", "verify", path, "small").text == f"{path}: ok\nsmall: ok\n"


def verify_fails(drfuse: Cli, *flags: str) -> bytes:
    drfuse.capture.readouterr()
    from drfuse_cli.cli.app import run

    assert run(["weights", "verify", *flags]) == 3
    return drfuse.capture.readouterr()[0]


def test_verify_goes_on_after_a_failure(drfuse: Cli, bundle: Path) -> None:
    path = str(shutil.copy(bundle / "small.safetensors", bundle / "copy.safetensors"))
    damage(bundle)
    out = verify_fails(drfuse, "small", path).decode().splitlines()
    assert out[0].startswith("small: ")
    assert "sha256" in out[0]
    assert out[-1] == f"{path}: ok"
    document = json.loads(verify_fails(drfuse, "small", path, "--json"))
    assert [one["ok"] for one in document["weights"]] == [False, True]


def test_pull_of_a_local_file(drfuse: Cli, bundle: Path) -> None:
    path = bundle / "small.safetensors"
    assert drfuse("weights", "pull", path).text == f"{path}\n"
    document: dict[str, Any] = json.loads(drfuse("weights", "pull", "small", "--json").out)
    assert document["path"] == str(path)


def test_pull_without_a_network(drfuse: Cli, bundle: Path) -> None:
    done = drfuse("weights", "pull", "hf://owner/repo/w.safetensors", code=3)
    assert "hf://owner/repo/w.safetensors" in done.err


def test_fuse_without_weights_of_the_task(drfuse: Cli, bundle: Path, tmp_path: Path) -> None:
    from cli_support import noise, save

    source = save(tmp_path / "a.png", noise(8, 8))
    out = tmp_path / "o.png"
    done = drfuse("fuse", source, source, "-o", out, "--task", "multifocus", code=3)
    assert "multifocus" in done.err
    assert not out.exists()


# ---- doctor ---------------------------------------------------------------------------------


def findings(drfuse: Cli, code: int = 0) -> dict[str, dict[str, str]]:
    from drfuse_cli.cli.app import run

    drfuse.capture.readouterr()
    assert run(["doctor", "--json"]) == code
    document = json.loads(drfuse.capture.readouterr()[0])
    assert document["schema"] == "drfuse.doctor/1"
    assert document["ok"] is (code == 0)
    return {check["name"]: check for check in document["checks"]}


def test_all_is_well(drfuse: Cli, bundle: Path) -> None:
    found = findings(drfuse)
    assert found["torch"]["detail"] == torch.__version__
    assert found["weights small"]["status"] == "ok"
    assert {"python", "device", "threads", "memory", "disk", "hub cache"} <= set(found)
    assert "offline" in found["hub cache"]["detail"]
    assert "    ok  drfuse: " in drfuse("doctor").text


def test_damaged_weights(drfuse: Cli, bundle: Path) -> None:
    damage(bundle)
    found = findings(drfuse, code=4)
    assert found["weights small"]["status"] == "failed"
    assert found["torch"]["status"] == "ok"


@pytest.mark.usefixtures("nothing")
def test_missing_weights(drfuse: Cli) -> None:
    assert findings(drfuse, code=4)["weights"]["status"] == "failed"


def test_a_broken_library(drfuse: Cli, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = {**doctor_module._LIBRARIES, "torch": "no_such_module"}
    monkeypatch.setattr(doctor_module, "_LIBRARIES", libraries)
    found = findings(drfuse, code=4)
    assert found["torch"]["status"] == "failed"
    assert "reinstall" in found["torch"]["detail"]


def test_an_optional_library(drfuse: Cli, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importing = doctor_module.import_module

    def without(name: str) -> Any:
        if name == "matplotlib":
            raise ImportError(name)
        return importing(name)

    monkeypatch.setattr(doctor_module, "import_module", without)
    assert findings(drfuse)["matplotlib"]["status"] == "note"


def test_a_check_that_breaks_is_a_finding(
    drfuse: Cli, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.fft.rfft2", lambda x: 1 / 0)
    found = findings(drfuse, code=4)
    assert "ZeroDivisionError" in found["device"]["detail"]
    assert found["disk"]["status"] == "ok"
