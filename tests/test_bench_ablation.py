"""The bench of ablations finds the parts of training that it changes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from bench_support import load_bench

from drfuse_cli.training import TrainOptions, drfusion


@pytest.fixture(scope="module")
def variants() -> ModuleType:
    return load_bench("ablation/variants.py")


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
