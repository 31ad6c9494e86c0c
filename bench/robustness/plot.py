"""The curves of `docs/quality.md` from what `bench/robustness/run.py --json` wrote.

python bench/robustness/plot.py robustness.json [MORE.json...] --out docs/images
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

Row = dict[str, Any]
Curve = tuple[str, str, Callable[[Row], bool]]

TRAINED = {"noise": 25, "blur": 3}
"""The largest values that training draws; the largest scale is 4."""


def draw(
    axes: Axes, rows: Iterable[Row], axis: str, value: str, label: str = "", **style: Any
) -> None:
    """One number over what was truly done."""
    points = sorted((row["true"][axis], row["mean"][value]) for row in rows)
    axes.plot(*zip(*points, strict=True), label=label or None, **style)


def grid(rows: list[Row], roles: list[str]) -> plt.Figure:
    """A panel a scale and source; a colour a noise; beyond the training range shaded."""
    scales = sorted({row["true"]["scale"] for row in rows})
    noises = sorted({row["true"]["noise"] for row in rows})
    figure, panels = plt.subplots(
        2,
        len(scales),
        figsize=(3 * len(scales), 5.6),
        sharex=True,
        sharey="row",
        layout="constrained",
    )
    for (i, role), (j, scale) in ((a, b) for a in enumerate(roles) for b in enumerate(scales)):
        axes = panels[i][j]
        for number, noise in enumerate(noises):
            some = [r for r in rows if (r["true"]["noise"], r["true"]["scale"]) == (noise, scale)]
            colour = plt.get_cmap("viridis")(number / max(1, len(noises)))
            draw(axes, some, "blur", f"drfuse{i + 1}", f"noise {noise:g}", color=colour)
            draw(axes, some, "blur", f"lift{i + 1}", color=colour, linestyle="--", alpha=0.6)
        axes.axvspan(TRAINED["blur"], max(r["true"]["blur"] for r in rows), color="0.92")
        axes.set_title(f"{role}, scale {scale}" + (" (beyond)" if scale > 4 else ""), fontsize=9)
    panels[0][-1].legend(fontsize=7)
    return _labelled(figure, panels, "blur, sigma in pixels")


def curves(
    rows: list[Row], roles: list[str], axis: str, columns: dict[str, list[Curve]], label: str
) -> plt.Figure:
    """A panel a source and column; a curve for every way the flags were set."""
    figure, panels = plt.subplots(
        2,
        len(columns),
        figsize=(4 * len(columns), 5.6),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for i, role in enumerate(roles):
        for j, (title, ways) in enumerate(columns.items()):
            axes = panels[i][j]
            for name, value, wanted in ways:
                some = [row for row in rows if wanted(row)]
                style = "--" if value in ("lift", "degraded") else "-"
                draw(axes, some, axis, f"{value}{i + 1}", name, linestyle=style)
            axes.set_title(f"{role}, {title}", fontsize=9)
            axes.legend(fontsize=7)
    return _labelled(figure, panels, label)


def _labelled(figure: plt.Figure, panels: Any, label: str) -> plt.Figure:
    for row in panels:
        row[0].set_ylabel("luma PSNR, dB")
        for axes in row:
            axes.grid(alpha=0.3)
    for axes in panels[-1]:
        axes.set_xlabel(label)
    return figure


def sigma(rows: list[Row], roles: list[str]) -> plt.Figure:
    def told(
        noise: float, said: float | None, stated: float, capped: bool = False
    ) -> Callable[[Row], bool]:
        def wanted(row: Row) -> bool:
            true, flags = row["true"], row["told"]
            blur = true["blur"] if said is None else said
            told = (flags["blur"], flags["noise"], row["capped"])
            return true["noise"] == noise and told == (blur, stated, capped)

        return wanted

    columns: dict[str, list[Curve]] = {
        f"noise {noise}": [
            ("told right", "drfuse", told(noise, None, noise)),
            ("told sigma 2", "drfuse", told(noise, 2, noise)),
            ("told sigma 2, --cap-blur", "drfuse", told(noise, 2, noise, capped=True)),
            ("lift, told sigma 2", "lift", told(noise, 2, noise)),
            ("as it came", "degraded", told(noise, None, noise)),
        ]
        for noise in (0, 4)
    }
    columns["noise 0"].insert(3, ("told sigma 2 and noise 2", "drfuse", told(0, 2, 2)))
    return curves(rows, roles, "blur", columns, "true sigma in pixels")


def noise(rows: list[Row], roles: list[str]) -> plt.Figure:
    def told(blur: float, said: float | None) -> Callable[[Row], bool]:
        def wanted(row: Row) -> bool:
            true = row["true"]["noise"]
            stated = true if said is None else said
            return row["true"]["blur"] == blur and true > 0 and row["told"]["noise"] == stated

        return wanted

    columns: dict[str, list[Curve]] = {
        f"blur {blur:g}": [
            ("told right", "drfuse", told(blur, None)),
            ("told noise 8", "drfuse", told(blur, 8)),
            ("told noise 12", "drfuse", told(blur, 12)),
            ("as it came", "degraded", told(blur, None)),
        ]
        for blur in (0, 1.5)
    }
    return curves(rows, roles, "noise", columns, "true noise in grey levels")


def motion(rows: list[Row], roles: list[str]) -> plt.Figure:
    def noisy(level: float) -> Callable[[Row], bool]:
        return lambda row: row["true"]["noise"] == level

    columns: dict[str, list[Curve]] = {
        f"noise {level}": [
            ("drfuse", "drfuse", noisy(level)),
            ("lift", "lift", noisy(level)),
            ("as it came", "degraded", noisy(level)),
        ]
        for level in (1, 8)
    }
    return curves(rows, roles, "motion", columns, "length of the shake in pixels")


FIGURES = {"grid": grid, "sigma": sigma, "noise": noise, "motion": motion}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("documents", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    documents = [json.loads(path.read_text()) for path in options.documents]
    rows = [row for document in documents for row in document["cells"]]
    options.out.mkdir(parents=True, exist_ok=True)
    for part, figure in FIGURES.items():
        some = [row for row in rows if row["part"] == part]
        if some:
            path = options.out / f"robustness-{part}.png"
            figure(some, documents[0]["roles"]).savefig(path, dpi=80)
            print(path)


if __name__ == "__main__":
    main()
