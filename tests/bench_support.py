"""Loading the scripts under ``bench``, which belong to no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"


def load_bench(path: str) -> ModuleType:
    """The module at ``path`` below ``bench``, under a name of its own.

    It finds the scripts beside it, as it does when run; those are forgotten afterwards, since
    another bench may have some of the same names.
    """
    name = path.removesuffix(".py").replace("/", "_")
    file = BENCH / path
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    beside = {script.stem for script in file.parent.glob("*.py")}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(file.parent)
        for other in beside & set(sys.modules):
            patch.delitem(sys.modules, other)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        for other in beside & set(sys.modules):
            del sys.modules[other]
    return module
