"""The bench of ablations finds the parts of training that it changes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from drfuse_cli.training import TrainOptions, drfusion

FOLDER = Path(__file__).resolve().parents[1] / "bench" / "ablation"


@pytest.fixture(scope="module")
def variants() -> ModuleType:
    path = FOLDER / "variants.py"
    spec = importlib.util.spec_from_file_location("ablation_variants", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    before = sys.modules.pop("run", None)  # another bench may have one of that name
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        spec.loader.exec_module(module)
    sys.modules.pop("run", None)
    if before is not None:
        sys.modules["run"] = before
    return module


def test_with_equal_weights_the_fusion_weight_does_not_learn(
    variants: ModuleType, tmp_path: Path
) -> None:
    options = TrainOptions(data=(tmp_path,), task="ivif", output=tmp_path / "w", width=8, middle=1)

    def learns() -> set[bool]:
        head = drfusion.starting_model(options).network.weight_head
        return {parameter.requires_grad for parameter in head.parameters()}

    assert learns() == {True}
    with variants.equal_weights():
        assert learns() == {False}
    assert learns() == {True}


def test_only_one_preset_is_drawn(variants: ModuleType) -> None:
    with variants.only("blur"):
        assert variants.degradations._PUBLISHED == {"blur": 1.0}
        assert variants.degradations._PUBLISHED_SHARE == 1.0
