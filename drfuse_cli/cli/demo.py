"""``drfuse demo``: render scenes, degrade them, fuse them, show what it was worth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drfuse_cli.cli import console, options
from drfuse_cli.cli.outputs import check_outputs
from drfuse_cli.config import FuseOptions, PresetName, Task, preset
from drfuse_cli.errors import DrfuseError, ExitCode

if TYPE_CHECKING:
    from drfuse_cli.engine import Engine
    from drfuse_cli.imageio import Image
    from drfuse_cli.report.demo import Trial

SHOWN = ("street-day", "street-night", "mri-pet")
PRESETS: tuple[PresetName, ...] = ("composite", "noise")
ROLES: dict[Task, tuple[str, str]] = {"ivif": ("ir", "vis"), "medical": ("mri", "pet")}
SEED = 2026

_PICTURES = ("clean", "degraded", "restored")
_REPORT, _PAGE = "report.json", "report.html"

Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Gets pictures and report.html.")
]


def demo(
    output: Output = Path("demo"),
    device: options.DeviceOption = "auto",
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Render scenes, degrade them, restore and fuse them, and write a report."""
    device = options.parse_device(device)
    tasks, skipped = _tasks_with_weights()
    for text in skipped:
        console.warn(text)
    if not tasks:
        raise DrfuseError(
            "no weights are bundled for any task of the demo",
            hint="Reinstall drfuse, or train some: drfuse train --help.",
            code=ExitCode.WEIGHTS,
        )
    check_outputs(_files(output, tasks), [], overwrite=overwrite or _is_ours(output))
    trials = list(_trials(tasks, device, output))
    document = _write_report(output, trials, skipped)
    if as_json:
        console.document(document)
        return
    from drfuse_cli.report.demo import COLUMNS, rows

    console.table("Luma PSNR in dB against the clean source", COLUMNS, rows(trials), words=3)
    console.result(str(output / _PAGE))


def _tasks_with_weights() -> tuple[list[Task], list[str]]:
    """The tasks that can be shown, and a line for each that cannot."""
    from drfuse_cli.weights import list_weights

    bundled = {entry.task for entry in list_weights() if entry.default}
    missing = [task for task in ROLES if task not in bundled]
    notes = [f"no weights are bundled for the task {task}: its scenes are left out"
             for task in missing]  # fmt: skip
    return [task for task in ROLES if task in bundled], notes


def _scenes(tasks: list[Task]) -> list[str]:
    from drfuse_cli.scenes import SCENES

    return [name for name in SHOWN if SCENES[name].task in tasks]


def _files(output: Path, tasks: list[Task]) -> list[Path]:
    pictures = [f"{kind}{k}.png" for kind in _PICTURES for k in (1, 2)]
    trials = [output / scene / name for scene in _scenes(tasks) for name in PRESETS]
    found = [folder / name for folder in trials for name in (*pictures, "fused.png", "sheet.png")]
    return [*found, output / _REPORT, output / _PAGE]


def _is_ours(output: Path) -> bool:
    """Whether the folder holds an earlier demo, which a new one may replace."""
    try:
        earlier = json.loads((output / _REPORT).read_bytes())
        return str(earlier["schema"]).startswith("drfuse.demo/")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _trials(tasks: list[Task], device: str, output: Path) -> Iterator[Trial]:
    from drfuse_cli.scenes import SCENES, render

    engines = {task: _engine(task, device) for task in tasks}
    with console.progress() as bar:
        steps = bar.add_task("rendering", total=len(_scenes(tasks)) * len(PRESETS))
        for name in _scenes(tasks):
            bar.update(steps, description=f"rendering {name}")
            clean = render(name)
            for chosen in PRESETS:
                bar.update(steps, description=f"{name}, {chosen}")
                trial = _try(name, chosen, clean, engines[SCENES[name].task])
                _write_pictures(output / name / chosen, trial)
                bar.advance(steps)
                yield trial


def _engine(task: Task, device: str) -> Engine:
    from drfuse_cli.weights import load_weights

    with console.working(f"loading the network for {task}"):
        weights = load_weights(None, task)
        from drfuse_cli.engine import Engine

        return Engine(weights, FuseOptions(task=task, device=device))


def _try(name: str, chosen: PresetName, clean: tuple[Image, Image], engine: Engine) -> Trial:
    from drfuse_cli.operators.simulate import degrade_image, generator
    from drfuse_cli.report.demo import Trial
    from drfuse_cli.scenes import SCENES

    scene = SCENES[name]
    roles, degradations = ROLES[scene.task], preset(scene.task, chosen)
    first, second = (
        degrade_image(image, degradation, generator(SEED, name, role))
        for image, degradation, role in zip(clean, degradations, roles, strict=True)
    )
    result = engine.fuse(first, second, degradations)
    return Trial(
        scene=name, title=scene.title, task=scene.task, preset=chosen, roles=roles,
        degradations=degradations, clean=clean, degraded=(first, second),
        restored=result.sources, fused=result.fused, seconds=result.seconds,
    )  # fmt: skip


def _write_pictures(folder: Path, trial: Trial) -> None:
    from drfuse_cli.imageio import write_image
    from drfuse_cli.report.demo import contact_sheet

    for kind in _PICTURES:
        for k, image in enumerate(getattr(trial, kind), 1):
            write_image(folder / f"{kind}{k}.png", image)
    write_image(folder / "fused.png", trial.fused)
    write_image(folder / "sheet.png", contact_sheet(trial))


def _write_report(output: Path, trials: list[Trial], skipped: list[str]) -> dict[str, object]:
    from drfuse_cli.imageio import write_bytes
    from drfuse_cli.report.demo import demo_document, page

    document = demo_document(trials, skipped)
    write_bytes(output / _PAGE, page(trials, skipped).encode())
    write_bytes(output / _REPORT, json.dumps(document, indent=2).encode() + b"\n")
    return document
