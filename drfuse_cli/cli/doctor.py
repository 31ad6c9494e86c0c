"""``drfuse doctor``: is everything here that drfuse needs, and does it work?"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Literal

import typer

from drfuse_cli import __version__
from drfuse_cli.cli import console
from drfuse_cli.cli.options import JsonOption
from drfuse_cli.errors import ExitCode

SCHEMA = "drfuse.doctor/1"

_LIBRARIES = {
    "torch": "torch",
    "numpy": "numpy",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "safetensors": "safetensors",
    "huggingface-hub": "huggingface_hub",
}
_EXTRAS = {
    "matplotlib": ("train", "training plots need"),
    "pydicom": ("medical", "medical files need"),
    "nibabel": ("medical", "medical files need"),
    "av": ("video", "video needs"),
    "ray": ("ray", "--engine ray needs"),
}
_LOW_MEMORY, _LOW_DISK = 1 << 30, 500 << 20


@dataclass(frozen=True)
class Check:
    """One finding; ``failed`` means that something drfuse needs does not work."""

    name: str
    status: Literal["ok", "note", "failed"]
    detail: str


def doctor(as_json: JsonOption = False) -> None:
    """Look at Python, libraries, device, memory, disk, weights and caches."""
    with console.working("looking around"):
        checks = [check for look in _LOOKS for check in _safely(look)]
    healthy = all(check.status != "failed" for check in checks)
    if as_json:
        content = {"schema": SCHEMA, "version": __version__, "ok": healthy}
        console.document({**content, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            console.result(f"{check.status:>6}  {check.name}: {check.detail}")
    if not healthy:
        raise typer.Exit(ExitCode.ENVIRONMENT)


def _safely(look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """A check that breaks is a finding of its own, and stops no other."""
    try:
        yield from look()
    except Exception as problem:
        name = look.__name__.strip("_")
        yield Check(name, "failed", f"{type(problem).__name__}: {problem}")


def _python() -> Iterator[Check]:
    fresh = sys.version_info >= (3, 11)
    yield Check("drfuse", "ok", __version__)
    yield Check(
        "python",
        "ok" if fresh else "failed",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    )


def _libraries() -> Iterator[Check]:
    for name, module in _LIBRARIES.items():
        try:
            import_module(module)
            yield Check(name, "ok", version(name))
        except Exception as problem:
            yield Check(name, "failed", f"cannot be imported ({problem}); reinstall drfuse")


def _device() -> Iterator[Check]:
    import torch

    from drfuse_cli.engine import choose_device

    device = choose_device("auto")
    square = torch.ones(8, 8, device=device)
    same = torch.fft.irfft2(torch.fft.rfft2(square), s=(8, 8)) @ square
    works = bool(torch.allclose(same.cpu(), torch.full((8, 8), 8.0), atol=1e-3))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    detail = f"{device} ({name})" if name else str(device)
    yield Check("device", "ok" if works else "failed", detail if works else f"{detail} miscounts")
    yield Check("threads", "ok", f"{torch.get_num_threads()} of {os.cpu_count()} processors")


def _memory() -> Iterator[Check]:
    free = _free_memory()
    if free is None:
        yield Check("memory", "note", "cannot be measured here")
    else:
        yield Check("memory", "ok" if free > _LOW_MEMORY else "note", f"{free / 1e9:.1f} GB free")


def _free_memory() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _disk() -> Iterator[Check]:
    free = shutil.disk_usage(".").free
    status: Literal["ok", "note"] = "ok" if free > _LOW_DISK else "note"
    yield Check("disk", status, f"{free / 1e9:.1f} GB free in the current folder")


def _weights() -> Iterator[Check]:
    from drfuse_cli.errors import DrfuseError
    from drfuse_cli.weights import list_weights, verify

    entries = list_weights()
    if not entries:
        yield Check("weights", "failed", "none are bundled; reinstall drfuse")
    for entry in entries:
        name = f"weights {entry.name}"
        try:
            verify(entry.name)
            yield Check(name, "ok", f"{entry.task}, {entry.parameters / 1e6:.2f} M parameters")
        except DrfuseError as problem:
            yield Check(name, "failed", f"{problem.message}; reinstall drfuse")


def _optional() -> Iterator[Check]:
    for name, (extra, use) in _EXTRAS.items():
        try:
            import_module(name)
            yield Check(name, "ok", version(name))
        except ImportError:
            yield Check(name, "note", f"not here; {use} pip install drfuse[{extra}]")


def _hub_cache() -> Iterator[Check]:
    from huggingface_hub import constants

    offline = ", offline mode is on" if constants.HF_HUB_OFFLINE else ""
    there = "" if os.path.isdir(constants.HF_HUB_CACHE) else " (empty)"
    yield Check("hub cache", "ok", f"{constants.HF_HUB_CACHE}{there}{offline}")


def _profiles() -> Iterator[Check]:
    from drfuse_cli.errors import DrfuseError
    from drfuse_cli.profiles import FILE, find_file, read_profiles

    path = find_file()
    if path is None:
        yield Check("profiles", "ok", f"no {FILE} here or in a folder above")
        return
    try:
        found = read_profiles(path)
    except DrfuseError as problem:
        yield Check("profiles", "failed", f"{problem.path}: {problem.message}")
        return
    default = f"; {found.default} is used without --profile" if found.default else ""
    yield Check("profiles", "ok", f"{path}: {', '.join(found.profiles) or 'none'}{default}")


_LOOKS = (
    *(_python, _libraries, _device, _memory, _disk, _weights, _optional, _hub_cache),
    _profiles,
)
