"""From what was asked for to a plan: pairs found, names checked, nothing computed yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drfuse_cli.config import PRESET_NAMES, Method, Task, preset
from drfuse_cli.degradations import Mode, Overrides, applied
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.baselines import RESTORERS, Baseline, baseline
from drfuse_cli.evaluation.cases import (
    CLEAN,
    CleanPair,
    Degradations,
    clean_pairs,
    factor_of,
    scene_pairs,
)
from drfuse_cli.evaluation.jobs import PICTURES, Setting
from drfuse_cli.evaluation.run import Plan
from drfuse_cli.evaluation.scored import Folders, named_folders, pair_up
from drfuse_cli.metrics import resolve

SCENES = "drfuse scenes"
"""The data set's name where there is none."""


@dataclass(frozen=True)
class Request:
    """What a user asks for; `FuseOptions` apart."""

    task: Task
    dataset: Path | None = None
    method: Method = "drfusion"
    degrade: Mode = "auto"
    overrides: Overrides = field(default_factory=Overrides)
    seed: int = 2026
    metrics: str = "drfusion"
    against: str | None = None
    fused: Sequence[str] = ()
    limit: int | None = None
    allow_unpaired: bool = False
    images: Path | None = None
    """The folder that gets every picture."""
    metrics_device: str | None = None
    """See `Setting`."""


def make_plan(request: Request) -> Plan:
    """Check a request and find its files.

    Raises ``DrfuseError`` for anything that is unknown, missing, unpaired or contradictory.
    """
    if request.fused and request.dataset is None:
        raise DrfuseError(
            "--fused needs the clean pairs to score against",
            hint="Name their folder: drfuse eval DATASET --fused DIR.",
        )
    metrics = tuple(metric.id for metric in resolve(request.metrics))
    network, baselines = _methods(request)
    names = [*([request.method] if network else []), *(found.name for found in baselines)]
    folders = named_folders(request.fused, [*names, *PICTURES, *RESTORERS])
    _refuse_overlap([*folders.values(), *filter(None, [request.dataset])], request.images)
    degrade, degradations = _degradations(request)
    pairs, fused, warnings = _pairs(request, folders)
    return Plan(
        task=request.task,
        dataset=SCENES if request.dataset is None else str(request.dataset),
        degrade=degrade,
        pairs=tuple(pairs),
        setting=Setting(
            degradations,
            request.seed,
            metrics,
            _factors(request, degrade),
            request.images,
            request.metrics_device,
        ),
        network=request.method if network else None,
        fused=fused,
        baselines=baselines,
        restorers=_restorers(degradations, network, baselines),
        settings={"fused": {name: str(folder) for name, folder in folders.items()}},
        warnings=warnings,
    )


def _methods(request: Request) -> tuple[bool, tuple[Baseline, ...]]:
    """Whether the network runs, and the baselines; it always does where nothing else is scored."""
    words = [] if request.against is None else request.against.split(",")
    names = dict.fromkeys(word.strip().lower() for word in words)
    network = not request.fused or request.method in names
    return network, tuple(baseline(name) for name in names if name != request.method)


def _degradations(request: Request) -> tuple[str | None, Degradations]:
    mode, overrides = request.degrade, request.overrides
    if request.fused and mode == "auto" and overrides.is_empty:
        return None, CLEAN
    name = mode if overrides.is_empty else "custom"
    return name, applied(request.task, mode, overrides)


def _factors(request: Request, degrade: str | None) -> tuple[int, ...]:
    """The factors to which fused images may be cropped: those of any preset where none is named."""
    if degrade is not None:
        return (factor_of(applied(request.task, request.degrade, request.overrides)),)
    return tuple({factor_of(preset(request.task, name)): None for name in PRESET_NAMES})


def _restorers(
    degradations: Degradations, network: bool, baselines: Sequence[Baseline]
) -> tuple[str, ...]:
    """The restorers whose sources are worth comparing with the clean ones."""
    used = dict.fromkeys(found.restorer for found in baselines if found.restorer != "degraded")
    degraded = any(not degradation.is_clean for degradation in degradations)
    return ("degraded", *used) if degraded and (network or used) else ()


def _pairs(
    request: Request, folders: dict[str, Path]
) -> tuple[list[CleanPair], Folders, tuple[str, ...]]:
    if request.dataset is None:
        return scene_pairs(request.task)[: request.limit], {}, ()
    pairs = clean_pairs(request.dataset, request.task, request.allow_unpaired)
    if not folders:
        return pairs[: request.limit], {}, ()
    fused, common = pair_up(folders, [pair.name for pair in pairs], request.allow_unpaired)
    left_out = len(pairs) - len(common)
    warnings = [f"{left_out} of {len(pairs)} pairs have no image of every method: left out"]
    chosen = set(common)
    kept = [pair for pair in pairs if pair.name in chosen]
    return kept[: request.limit], fused, tuple(warnings if left_out else [])


def _refuse_overlap(folders: Sequence[Path], images: Path | None) -> None:
    """The pictures of a report must not take the place of what is read."""
    for folder in folders if images is not None else ():
        assert images is not None
        if folder.resolve().is_relative_to(images.resolve()):
            raise DrfuseError(
                "the pictures of the report would be written over these images",
                hint="Choose another folder with -o.",
                path=folder,
            )
