"""The demo's report: rendered scenes before and after, with figures computed on the spot."""

from __future__ import annotations

import base64
import html
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from drfuse_cli import __version__
from drfuse_cli.colour import luma8
from drfuse_cli.config import Degradation, PresetName, Task
from drfuse_cli.degradations import describe
from drfuse_cli.imageio import Image, encode_image
from drfuse_cli.metrics import psnr
from drfuse_cli.report.sidecar import operator_document

SCHEMA = "drfuse.demo/1"

Pair = tuple[Image, Image]
_GAP, _LABEL, _WHITE = 8, 26, 255


@dataclass(frozen=True)
class Trial:
    """One scene under one preset; clean, restored and fused images have one size."""

    scene: str
    title: str
    task: Task
    preset: PresetName
    roles: tuple[str, str]
    degradations: tuple[Degradation, Degradation]
    clean: Pair
    degraded: Pair
    restored: Pair
    fused: Image
    seconds: float

    @cached_property
    def enlarged(self) -> Pair:
        """The degraded sources at full size, bicubic where they are smaller."""
        first, second = (enlarge(image, self.fused) for image in self.degraded)
        return first, second

    @cached_property
    def psnr_before(self) -> tuple[float, float]:
        """Luma PSNR of both degraded sources in dB, against the clean ones."""
        return self._psnr(self.enlarged)

    @cached_property
    def psnr_after(self) -> tuple[float, float]:
        """Luma PSNR of both restored sources in dB, against the clean ones."""
        return self._psnr(self.restored)

    def _psnr(self, pair: Pair) -> tuple[float, float]:
        first, second = (
            psnr(luma8(image), luma8(clean)) for image, clean in zip(pair, self.clean, strict=True)
        )
        return first, second


def enlarge(image: Image, like: Image) -> Image:
    """The image at the size of another one, bicubic; itself where the sizes agree."""
    if (image.height, image.width) == (like.height, like.width):
        return image
    size = (like.width, like.height)
    return Image(cv2.resize(image.pixels, size, interpolation=cv2.INTER_CUBIC))


# ---- contact sheet --------------------------------------------------------------------------


def contact_sheet(trial: Trial) -> Image:
    """Before above, after below: both sources, and their plain average beside the fused image."""
    average = np.mean([_rgb(image).astype(np.float32) for image in trial.enlarged], axis=0)
    before = (*trial.enlarged, Image(np.floor(average + 0.5).astype(np.uint8)))
    after = (*trial.restored, trial.fused)
    labels = [*trial.roles, "average"], [*trial.roles, "fused"]
    rows = [
        _row(images, [f"{when}: {label}" for label in names])
        for images, names, when in zip((before, after), labels, ("before", "after"), strict=True)
    ]
    return Image(np.concatenate(rows))


def _row(images: tuple[Image, ...], labels: list[str]) -> np.ndarray:
    cells = [_cell(image, label) for image, label in zip(images, labels, strict=True)]
    return np.concatenate(cells, axis=1)


def _cell(image: Image, label: str) -> np.ndarray:
    margin = ((_LABEL, _GAP), (_GAP, _GAP), (0, 0))
    cell = np.pad(_rgb(image), margin, constant_values=_WHITE)
    place, font = (_GAP, _LABEL - 8), cv2.FONT_HERSHEY_SIMPLEX
    return cv2.putText(cell, label, place, font, 0.5, (40, 40, 40), 1, cv2.LINE_AA)


def _rgb(image: Image) -> np.ndarray:
    return image.pixels if image.colour else np.repeat(image.pixels[..., None], 3, axis=2)


# ---- figures --------------------------------------------------------------------------------


def rows(trials: list[Trial]) -> list[tuple[str, ...]]:
    """Scene, preset, source, luma PSNR before and after, and the gain, as text."""
    return [
        (
            trial.title,
            trial.preset,
            role,
            _decibel(before),
            _decibel(after),
            f"{after - before:+.2f}" if math.isfinite(after - before) else "",
        )
        for trial in trials
        for role, before, after in zip(
            trial.roles, trial.psnr_before, trial.psnr_after, strict=True
        )
    ]


COLUMNS = ("scene", "degradation", "source", "before", "after", "gain, dB")


def demo_document(trials: list[Trial], skipped: list[str]) -> dict[str, Any]:
    """The demo's figures, ready for JSON."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "trials": [_trial_document(trial) for trial in trials],
        "skipped": skipped,
    }


def _trial_document(trial: Trial) -> dict[str, Any]:
    sources = zip(trial.roles, trial.psnr_before, trial.psnr_after, strict=True)
    return {
        "scene": trial.scene,
        "task": trial.task,
        "degrade": trial.preset,
        "operators": [operator_document(degradation) for degradation in trial.degradations],
        "psnr": [
            {"source": role, "before": _finite(before), "after": _finite(after)}
            for role, before, after in sources
        ],
        "seconds": round(trial.seconds, 4),
    }


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _decibel(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "equal"


# ---- page -----------------------------------------------------------------------------------

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem;
  color: #222; background: #fff; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 3rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; border-bottom: 1px solid #ccc; }
td:nth-child(n+4) { text-align: right; font-variant-numeric: tabular-nums; }
.trial { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .9rem; color: #555; }
.pair { position: relative; } img { display: block; width: 100%; }
.pair img + img { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--cut, 50%)); }
input { width: 100%; margin: .3rem 0 0; }
"""
_SCRIPT = """
for (const slider of document.querySelectorAll("input[type=range]"))
  slider.addEventListener("input", () =>
    slider.previousElementSibling.style.setProperty("--cut", slider.value + "%"));
"""


def page(trials: list[Trial], skipped: list[str]) -> str:
    """A page that needs no other file and no network; pictures lie inside it as JPEG."""
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in COLUMNS)
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows(trials)
    )
    notes = "".join(f"<p>{html.escape(text)}</p>" for text in skipped)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>drfuse demo</title><style>{_STYLE}</style></head><body><h1>drfuse demo</h1>"
        "<p>Scenes rendered by drfuse, so that the truth is known; degraded, then restored and "
        f"fused by drfuse {html.escape(__version__)}. Luma PSNR in dB against the clean source, "
        "the smaller source enlarged bicubically for the column before.</p>"
        f"<table><tr>{heads}</tr>{lines}</table>{notes}"
        + "".join(_section(trial) for trial in trials)
        + f"<script>{_SCRIPT}</script></body></html>\n"
    )


def _section(trial: Trial) -> str:
    title = html.escape(f"{trial.title}: {trial.preset}")
    sliders = "".join(_slider(trial, i) for i in (0, 1))
    caption = f"fused in {trial.seconds:.2f} s"
    return (
        f'<h2>{title}</h2><div class="trial">{sliders}<figure>{_picture(trial.fused, caption)}'
        f"<figcaption>{html.escape(caption)}</figcaption></figure></div>"
    )


def _slider(trial: Trial, i: int) -> str:
    role = trial.roles[i]
    before, after = _decibel(trial.psnr_before[i]), _decibel(trial.psnr_after[i])
    text = f"{role}: {before} dB degraded (left), {after} dB restored (right). "
    pictures = _picture(trial.enlarged[i], f"{role}, degraded")
    pictures += _picture(trial.restored[i], f"{role}, restored")
    return (
        f'<figure><div class="pair">{pictures}</div>'
        f'<input type="range" value="50" aria-label="{html.escape(role)}: before and after">'
        f"<figcaption>{html.escape(text + describe(trial.degradations[i]))}</figcaption></figure>"
    )


def _picture(image: Image, text: str) -> str:
    data = base64.b64encode(encode_image(image, ".jpg")).decode("ascii")
    return f'<img alt="{html.escape(text)}" src="data:image/jpeg;base64,{data}">'
