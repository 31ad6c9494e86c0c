"""How a run is doing on pairs it does not train on: one row a scenario, and a plot."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.config import Correction, Task, preset
from drfuse_cli.imageio import write_bytes
from drfuse_cli.models import DRFusion
from drfuse_cli.samplers.observation import FUSED
from drfuse_cli.training.data import CleanPair, draw_crops, load_pairs
from drfuse_cli.training.degradations import MARGIN, Draw, degrade
from drfuse_cli.training.losses import WEIGHTS, aim_of, fusion_loss

_CROP, _LIMIT = 192, 16
_SCENARIOS = ("noise", "blur", "composite")


def psnr(x: Tensor, clean: Tensor) -> float:
    """Mean over the batch of the PSNR in dB, images ``B x 1 x H x W`` in 0..1."""
    mse = ((x.clamp(0, 1) - clean) ** 2).mean((1, 2, 3)).clamp_min(1e-10)
    return float((-10 * torch.log10(mse)).mean())


@dataclass
class Validation:
    """Fixed crops of held-back pairs under the published presets; empty without pairs."""

    task: Task
    pairs: list[CleanPair]
    folder: Path
    correction: Correction = "joint"

    @classmethod
    def of(
        cls, root: Path | None, task: Task, folder: Path, correction: Correction = "joint"
    ) -> Validation:
        """The first pairs below ``root``; none where it is ``None``."""
        return cls(task, load_pairs((root,), task)[:_LIMIT] if root else [], folder, correction)

    def run(
        self, model: DRFusion, step: int, loss: float, history: list[dict[str, float | int | str]]
    ) -> str:
        """Appends this step's rows to ``history``, rewrites the files, and says it in a line."""
        said = [f"step {step}, loss {loss:.4f}"]
        for name in _SCENARIOS if self.pairs else ():
            first, second, fused = self._measure(model, name)
            history.append(
                {
                    "step": step,
                    "scenario": name,
                    "train_loss": round(loss, 5),
                    "psnr1": round(first, 3),
                    "psnr2": round(second, 3),
                    "fusion_loss": round(fused, 5),
                }
            )
            said.append(f"{name} {first:.2f}/{second:.2f} dB, {fused:.3f}")
        write_history(self.folder, history)
        return "; ".join(said)

    @torch.no_grad()
    def _measure(self, model: DRFusion, name: str) -> tuple[float, float, float]:
        rng = np.random.default_rng(2026)
        device = next(model.parameters()).device
        count = len(self.pairs)
        crops = [
            draw_crops([pair], 1, _CROP + 2 * MARGIN, rng, colourise=False) for pair in self.pairs
        ]
        first, rgb, sharp = (
            torch.from_numpy(np.concatenate(part)) for part in zip(*crops, strict=True)
        )
        draws = tuple(
            Draw(
                torch.full((count,), d.noise_std),
                torch.full((count,), d.blur_sigma),
                d.sr_scale,
                "reflect",
                exact=True,
            )
            for d in preset(self.task, name)  # type: ignore[arg-type]
        )
        inputs, clean = degrade(first, rgb, (draws[0], draws[1]), rng, device)
        state = model(inputs, correction=self.correction)
        x1, x2 = clean[:, :1], clean[:, 1:2]
        ideal = aim_of(x1, x2, self.task, sharp[..., MARGIN:-MARGIN, MARGIN:-MARGIN].to(device))
        loss = fusion_loss(state[:, FUSED], x1, x2, ideal, WEIGHTS[self.task])
        return psnr(state[:, :1], clean[:, :1]), psnr(state[:, 1:2], clean[:, 1:2]), float(loss)


def write_history(folder: Path, history: list[dict[str, float | int | str]]) -> None:
    """``log.csv`` and ``progress.png`` of the rows measured so far, where there are any."""
    if not history:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]))
    writer.writeheader()
    writer.writerows(history)
    write_bytes(folder / "log.csv", text.getvalue().encode())
    write_bytes(folder / "progress.png", _plot(history))


def _plot(history: list[dict[str, float | int | str]]) -> bytes:
    """PSNR and fusion loss over steps; an empty file where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return b""
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name in dict.fromkeys(row["scenario"] for row in history):
        rows = [row for row in history if row["scenario"] == name]
        steps = [row["step"] for row in rows]
        left.plot(steps, [row["psnr1"] for row in rows], label=f"{name}, source 1")
        left.plot(steps, [row["psnr2"] for row in rows], "--", label=f"{name}, source 2")
        right.plot(steps, [row["fusion_loss"] for row in rows], label=str(name))
    left.set(xlabel="step", ylabel="luma PSNR, dB")
    right.set(xlabel="step", ylabel="fusion loss")
    left.legend(fontsize=7)
    right.legend(fontsize=7)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
