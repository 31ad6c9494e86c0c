"""Every test runs with its own home and cache, off line, and on one core."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli_support import Cli


def pytest_configure() -> None:
    # Whoever starts the tests in the background may have them, and their children, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is slow to rebuild and holds no state of ours: matplotlib's font list."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(autouse=True)
def isolated(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    shared_caches: Path,
) -> Path:
    """A fresh home folder; returns it."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("DRFUSE_", "HF_", "HUGGINGFACE_", "XDG_")):
            monkeypatch.delenv(name)
    settings = {
        "HOME": home,
        "USERPROFILE": home,
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "HF_HOME": home / ".cache" / "huggingface",
        "HF_HUB_OFFLINE": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "MPLCONFIGDIR": shared_caches,
        "OMP_NUM_THREADS": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
    return home


@pytest.fixture
def drfuse(capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    """The command line, run in this process."""
    from cli_support import Cli

    return Cli(capfdbinary)


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weight file of a small random network that does change its inputs."""
    from batch_support import make_weights

    return make_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")
