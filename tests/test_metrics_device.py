"""The metrics on a torch device: the values of numpy, with nothing brought back on the way.

What runs here on torch's processor is what a GPU is given, call by call: an array that is not
put on the device is refused here as it would be there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_support import make_data, quick_fuse
from metrics_support import infrared, scene, textured
from test_metrics import GOLDEN, NO_VALUE, PINNED, pictures
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from bench.metrics.golden import Case, compare, read_cases
from bench.metrics.page import _hard_cases
from drfuse_cli.evaluation import jobs
from drfuse_cli.evaluation.plan import Request, make_plan
from drfuse_cli.evaluation.run import evaluate
from drfuse_cli.metrics import METRICS, Score, score
from drfuse_cli.metrics.device import DeviceArray

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    ),
]
on_each_device = pytest.mark.parametrize("device", DEVICES)


# ---- values ---------------------------------------------------------------------------------


@on_each_device
@pytest.mark.parametrize("kind", PINNED)
def test_values_on_pictures_of_our_own(kind: str, device: str) -> None:
    """The tolerances are those of test_metrics.py."""
    for name, expected in PINNED[kind].items():
        value = score(*pictures(kind, name), [name], device=device)[name].value
        tolerance = 2e-7 if name == "MS_SSIM" else 1e-9
        assert value == pytest.approx(expected, rel=tolerance), name


def golden_cases(device: str) -> list[Case]:
    """Torch is slow on the processor: Q_P for small pictures only, of which there are many."""
    cases = read_cases(GOLDEN)
    if device != "cpu":
        return cases
    return [case if case.pictures()[0].size < 10_000 else without(case, "Q_P") for case in cases]


def without(case: Case, name: str) -> Case:
    return replace(case, references={k: v for k, v in case.references.items() if k != name})


@on_each_device
def test_agrees_with_the_reference_implementations(device: str) -> None:
    """The tolerances are those of test_metrics.py."""
    cases = golden_cases(device)
    if not cases:
        pytest.skip(f"the reference values are not there: {GOLDEN}")
    found = compare(cases, device)
    assert {c.metric for c in found} == set(METRICS)
    for c in found:
        if c.reference.value is None or (c.case, c.metric) in NO_VALUE:
            assert c.value is None, (c.case, c.metric)
            continue
        slack = 0 if c.metric == "FMI" else 3 * c.reference.deviation
        expected = pytest.approx(c.reference.value, rel=max(1e-6, slack), abs=slack)
        assert c.value == expected, (c.case, c.metric)


@on_each_device
def test_what_has_no_value_has_the_same_reason(device: str) -> None:
    # FMI always has a value, and is slow; where all is flat Q_Y is a ratio of rounding errors.
    asked = [name for name in METRICS if name not in {"FMI", "Q_Y"}]
    for label, images in _hard_cases().items():
        expected = score(*images, asked)
        for name, result in score(*images, asked, device=device).items():
            assert result == approximately(expected[name]), (label, name)


@on_each_device
def test_one_size_beside_another_and_one_device_beside_another(device: str) -> None:
    """Filters are kept by size and by device: the order must not matter."""
    for images in (textured(41, 50), textured(47, 41)):
        expected = score(*images)
        for asked in (device, None, device):
            for name, result in score(*images, device=asked).items():
                assert result == approximately(expected[name]), name


@on_each_device
def test_flipped_views(device: str) -> None:
    images = [x[::-1, ::-1] for x in textured()]
    expected = score(*images)
    for name, result in score(*images, device=device).items():
        assert result == approximately(expected[name]), name


def approximately(expected: Score) -> Score:
    if expected.value is None:
        return expected
    return replace(expected, value=pytest.approx(expected.value, rel=1e-9, abs=1e-12))


@on_each_device
@pytest.mark.parametrize("name", METRICS)
def test_a_small_error_in_the_fused_image_moves_every_metric(name: str, device: str) -> None:
    a, b, f = pictures("textured", name)
    f[10, 10] ^= 32
    value = score(a, b, f, [name], device=device)[name].value
    assert value != pytest.approx(PINNED["textured"][name], rel=1e-6)


# ---- where it is done -----------------------------------------------------------------------


class Watch(TorchFunctionMode):
    """Notes what torch is called for, and arrays among what it is given that no one placed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.strange: set[str] = set()

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        tensors = [x for x in tree_leaves((args, kwargs or {})) if isinstance(x, torch.Tensor)]
        self.calls += 1
        placing = {"to", "as_subclass", "as_tensor", "__get__", "__set__"}
        if function.__name__ not in placing and any(type(x) is not DeviceArray for x in tensors):
            self.strange.add(function.__name__)
        return function(*args, **(kwargs or {}))


# Histograms of whole images are made of the 8-bit pixels, which are in memory anyway.
BY_NUMPY = {"EN", "MI", "Q_MI", "Q_TE", "Q_NCIE"}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_works_on_the_device_alone(name: str) -> None:
    with Watch() as watch:
        assert score(*scene(161, 166), [name], device="cpu")[name].value is not None
    assert watch.strange == set()
    assert (watch.calls == 0) == (name in BY_NUMPY)


def test_the_watch_sees_an_array_that_was_not_placed() -> None:
    x = DeviceArray.of(np.ones(3), "cpu")
    with Watch() as watch:
        x * torch.ones(3)
    assert watch.strange == {"mul"}


def test_an_array_on_a_device_never_becomes_one_of_numpy() -> None:
    x = DeviceArray.of(np.ones(3), "cpu")
    for leave in (np.asarray, np.array, np.cumsum, np.add.reduce, np.hypot.accumulate):
        with pytest.raises(TypeError):
            leave(x)


def test_scalars_and_arrays_of_numpy_join_in_double_precision() -> None:
    x = DeviceArray.of(np.full(2, 3.0), "cpu")
    for mixed in (np.maximum(x, 1e-9), np.float64(0.1) * x, np.array([0.1, 0.2]) * x, 0.1 * x):
        assert type(mixed) is DeviceArray
        assert mixed.dtype == torch.float64
    assert float(np.where(x > 5, x, 1e-5)[0]) == 1e-5


# ---- in an evaluation -----------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data", "a", "b", "c")


def test_an_evaluation_scores_in_one_process(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request(
        "ivif", dataset=data, metrics="EN,Q_G,SSIM,FMI", degrade="none", against="average,maximum"
    )
    expected = evaluate(make_plan(request), quick_fuse)
    here: list[Any] = []
    score_triple = jobs.score_triple
    monkeypatch.setattr(
        jobs, "score_triple", lambda triple, ids: here.append(triple) or score_triple(triple, ids)
    )
    found = evaluate(make_plan(replace(request, metrics_device="cpu")), quick_fuse, workers=2)
    assert len(here) == 3 * 3
    assert {picture.device for triple in here for picture in triple.pictures} == {"cpu"}
    assert len({id(triple.sources) for triple in here}) == 3
    assert [m.name for m in found.methods] == [m.name for m in expected.methods]
    for ours, theirs in zip(found.methods, expected.methods, strict=True):
        for metric in found.metrics:
            assert ours.values(metric.id) == pytest.approx(theirs.values(metric.id), rel=1e-9)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        ("cuda", 4, "device 'cuda' is not available here"),
        ("mps", 2, "double precision"),
        ("gpu", 2, "--metrics-device"),
        ("cuda:x", 2, "--metrics-device"),
    ],
)
def test_a_device_that_cannot_be_had(
    drfuse: Any, data: Path, asked: str, code: int, message: str
) -> None:
    done = drfuse("eval", data, "--metrics", "EN", "--metrics-device", asked, code=code)
    assert message in done.err


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("asked", [(), ("--metrics-device", "auto"), ("--metrics-device", "cpu")])
def test_the_report_says_where_the_metrics_were_computed(
    drfuse: Any, data: Path, asked: tuple[str, ...]
) -> None:
    words = ("--fused", data / "vis", "--metrics", "EN", "--workers", "1", "--json")
    done = drfuse("eval", data, *words, *asked)
    assert json.loads(done.out)["metrics_device"] == "cpu"


def test_the_pixels_of_a_picture_stay_where_they_are() -> None:
    x = infrared()
    before = x.copy()
    score(x, x, x, device="cpu")
    assert (x == before).all()
