"""Objective fusion metrics: one registry, one function that scores.

Every metric compares a fused image F with its two (clean) sources A and B, all 8-bit
luminance of one size. A new metric is one function ``(a, b, f) -> float`` that raises
`Undefined` where it has no value, and one entry in `METRICS`.

The six columns of the DRFusion tables (`DRFUSION_TABLE`) follow the definitions of Yu Liu's
corrected toolbox (yuliu316316/MFIF-Metrics) where it differs from the original one
(zhengliu6699/imageFusionMetrics).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.metrics.common import Grey, Undefined
from drfuse_cli.metrics.gradient import q_g
from drfuse_cli.metrics.information import q_mi, q_ncie
from drfuse_cli.metrics.perception import q_cb
from drfuse_cli.metrics.phase import q_p
from drfuse_cli.metrics.similarity import fusion_psnr, psnr, q_w, ssim

__all__ = ["DRFUSION_TABLE", "METRICS", "Metric", "Score", "Undefined", "psnr", "resolve", "score"]


@dataclass(frozen=True)
class Metric:
    """One fusion metric: how to read it, where it is from, how to compute it."""

    id: str
    title: str
    better: Literal["higher", "lower"]
    range: tuple[float | None, float | None]
    """Lowest and highest value; ``None`` is unbounded."""
    minimum_size: int
    """Smallest height and width for which it is computed."""
    identity: float | None
    """Value for A = B = F where that is one number whatever the image."""
    source: str
    function: Callable[[Grey, Grey, Grey], float]


@dataclass(frozen=True)
class Score:
    """The value of a metric, or ``None`` and the reason why it has none."""

    value: float | None
    reason: str | None = None


_ENTRIES = (
    Metric(
        "Q_MI", "normalised mutual information", "higher", (0, 2), 1, 2.0,
        "Hossny, Nahavandi & Creighton 2008; MFIF-Metrics metricMI, mode 1", q_mi,
    ),
    Metric(
        "Q_NCIE", "nonlinear correlation information entropy", "higher",
        (1 - math.log(3, 256), 1), 1, None,
        "Wang, Shen & Zhang 2005; MFIF-Metrics metricWang", q_ncie,
    ),
    Metric(
        "Q_G", "gradient preservation", "higher", (0, 1), 3, 0.9747936249694977,
        "Xydeas & Petrovic 2000; MFIF-Metrics metricXydeas", q_g,
    ),
    Metric(
        "Q_P", "phase congruency", "higher", (0, 1), 8, None,
        "Zhao, Laganiere & Liu 2007, on Kovesi's phasecong2; MFIF-Metrics metricZhao", q_p,
    ),
    Metric(
        "Q_CB", "perceived contrast", "higher", (0, 1), 1, 1.0,
        "Chen & Blum 2009; MFIF-Metrics metricChenBlum", q_cb,
    ),
    Metric(
        "Q_W", "saliency-weighted similarity", "higher", (-1, 1), 8, 1.0,
        "Piella & Heijmans 2003, weighted; MFIF-Metrics metricPeilla, mode 2", q_w,
    ),
    Metric(
        "SSIM", "structural similarity, mean over the sources", "higher", (-1, 1), 11, 1.0,
        "Wang et al. 2004, Gaussian window, valid region, L = 255", ssim,
    ),
    Metric(
        "PSNR", "peak signal-to-noise ratio in dB of the mean error", "higher", (0, None), 1, None,
        "10 log10(255^2 / MSE), MSE averaged over the sources", fusion_psnr,
    ),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.id: metric for metric in _ENTRIES}
DRFUSION_TABLE = ("Q_MI", "Q_NCIE", "Q_G", "Q_P", "Q_CB", "Q_W")


def resolve(ids: Iterable[str] | None = None) -> list[Metric]:
    """The metrics of these IDs in any case and order, all of them for ``None``.

    Raises `DrfuseError` for an unknown ID.
    """
    if ids is None:
        return list(METRICS.values())
    wanted = list(ids)
    unknown = [name for name in wanted if name.upper() not in METRICS]
    if unknown:
        raise DrfuseError(
            f"unknown metric {', '.join(unknown)}", hint=f"choose from {', '.join(METRICS)}"
        )
    return [METRICS[name.upper()] for name in wanted]


def score(a: Grey, b: Grey, f: Grey, ids: Iterable[str] | None = None) -> dict[str, Score]:
    """Score the fused image `f` against its sources `a` and `b`.

    All three are H x W uint8 luminance of one shape. Returns a `Score` for every ID, in the
    order asked. Raises `DrfuseError` for an unknown ID, another dtype, or differing shapes.
    """
    for name, image in (("first source", a), ("second source", b), ("fused image", f)):
        if image.dtype != np.uint8 or image.ndim != 2 or image.size == 0:
            raise DrfuseError(
                f"the {name} is {image.dtype} of shape {image.shape}",
                hint="metrics take 8-bit luminance, height x width",
            )
    if not a.shape == b.shape == f.shape:
        raise DrfuseError(
            f"sizes differ: sources {_size(a)} and {_size(b)}, fused image {_size(f)}",
            hint="score against sources of the fused image's size",
        )
    return {metric.id: _evaluate(metric, a, b, f) for metric in resolve(ids)}


def _evaluate(metric: Metric, a: Grey, b: Grey, f: Grey) -> Score:
    least = metric.minimum_size
    if min(f.shape) < least:
        return Score(None, f"{_size(f)} is smaller than {least}x{least}")
    try:
        value = metric.function(a, b, f)
    except Undefined as undefined:
        return Score(None, str(undefined))
    return Score(float(value)) if math.isfinite(value) else Score(None, "not a finite number")


def _size(image: Grey) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
