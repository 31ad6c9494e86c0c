"""``drfuse calibrate``: measure a rig once, from a folder of its pairs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drfuse_cli.cli import console, options
from drfuse_cli.cli.outputs import check_outputs
from drfuse_cli.cli.profile import CropOption
from drfuse_cli.config import Agc, Destripe, Fit, Pair, Register, Task
from drfuse_cli.degradations import Overrides
from drfuse_cli.errors import DrfuseError
from drfuse_cli.pairs import Roles, check_roles, find_pairs, role_folders
from drfuse_cli.profiles import FILE, NAME, Profile, SourceProfile, read_profiles, read_text
from drfuse_cli.rig import Margins, Rig, parse_crop

if TYPE_CHECKING:
    from drfuse_cli.calibration import Calibration, Failed, Seen, Source

SCHEMA = "drfuse.calibrate/1"

Root = Annotated[
    Path, typer.Argument(metavar="DIR", help="Pairs that the rig has taken, the more the better.")
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE.toml",
        help="Gets the profile, beside those that it holds already.",
    ),
]
Name = Annotated[
    str, typer.Option("--name", help="What the profile is called: letters, digits, - and _.")
]
RolesOption = Annotated[
    str | None,
    typer.Option(
        "--roles",
        metavar="A,B",
        help="What the rig calls source 1 and source 2: the names of their folders, the endings "
        "of file names, or patterns such as 'cam_*_L,cam_*_R'.",
    ),
]
RegisterOption = Annotated[
    Register,
    typer.Option(
        "--register",
        help="The motion to look for: a shift, or with homography anything that cameras do; "
        "none leaves it out.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the profile of this name, and only that.")
]


def calibrate(
    root: Root,
    name: Name,
    output: Output = Path(FILE),
    task: options.TaskOption = "ivif",
    roles: RolesOption = None,
    register: RegisterOption = "auto",
    crop: CropOption = None,
    agc: options.AgcOption = "auto",
    destripe: options.DestripeOption = "auto",
    fit: options.FitOption = "none",
    limit: options.LimitOption = None,
    workers: options.WorkersOption = None,
    allow_unpaired: options.UnpairedOption = False,
    overwrite: Overwrite = False,
    as_json: options.JsonOption = False,
) -> None:
    """Measure noise, blur, scale and motion from a folder of pairs, and write a profile.

    Example: drfuse calibrate pairs/ --name my-rig, then drfuse batch pairs/ --profile my-rig
    """
    options.check_infrared(task, agc, destripe)
    own = _roles(roles)
    margins = Rig().crop if crop is None else parse_crop(crop)
    request = _Request(root, output, name, task, own, register, margins, agc, destripe, fit)
    before = _check(request, overwrite)
    pairs = find_pairs(root, task, allow_unpaired, roles=own)[:limit]
    seen, failed = _look(request, pairs, workers)
    for failure in failed:
        console.warn(f"{failure.name} left out: {failure.error}")
    if not seen:
        raise failed[0].error
    from drfuse_cli.calibration import calibrate as find_common
    from drfuse_cli.imageio import write_bytes
    from drfuse_cli.profiles.text import put

    found = find_common(seen, register)
    profile = _profile(request, found)
    text = put(before, profile, _comments(found))
    write_bytes(output, text.encode())
    if as_json:
        console.document(_document(request, found, failed, profile))
        return
    _show(request, found, profile)
    console.note(f"use it with --profile {_usage(output, name)}")
    console.result(str(output))


@dataclass(frozen=True)
class _Request:
    """What the flags ask for."""

    root: Path
    output: Path
    name: str
    task: Task
    roles: Roles | None
    register: Register
    crop: tuple[Margins, Margins]
    agc: Agc
    destripe: Destripe
    fit: Fit


def _roles(text: str | None) -> Roles | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    try:
        if len(parts) != 2 or not all(parts):
            raise ValueError("two of them are needed")
        return check_roles((parts[0], parts[1]))
    except ValueError as error:
        raise DrfuseError(
            f"--roles is {text!r}: {error}", hint="For example --roles left,right."
        ) from None


def _check(request: _Request, overwrite: bool) -> str:
    """The text that the profile is to be put into; raises where it cannot be."""
    name, output = request.name, request.output
    if not NAME.fullmatch(name) or name == "none":
        raise DrfuseError(f"--name is {name!r}", hint="Use letters, digits, - and _.")
    if output.suffix.lower() != ".toml":
        raise DrfuseError("does not end in .toml", hint=f"For example -o {FILE}.", path=output)
    check_outputs([output], [], overwrite=True)
    if not os.path.lexists(output):
        return f'# Uncomment to use it without --profile:\n# profile = "{name}"\n'
    if name in read_profiles(output).profiles and not overwrite:
        raise DrfuseError(
            f"has a profile {name} already",
            hint="Choose another --name, or replace it with --overwrite.",
            path=output,
        )
    return read_text(output)


def _look(
    request: _Request, pairs: Sequence[Pair], workers: int | None
) -> tuple[list[Seen], list[Failed]]:
    from drfuse_cli.calibration import Failed, Seen, look
    from drfuse_cli.evaluation.pool import processors, spread
    from drfuse_cli.sources import Assumptions

    told = Assumptions(
        request.task,
        "auto",
        Overrides(),
        register=request.register,
        agc=request.agc,
        destripe=request.destripe if request.task == "ivif" else "none",
        fit=request.fit,
        rig=Rig(request.crop),
    )
    found = []
    with console.counting("measuring", len(pairs)) as advance:
        for one in spread(partial(look, told=told), pairs, workers or processors()):
            found.append(one)
            advance()
    failed = sorted((one for one in found if isinstance(one, Failed)), key=lambda one: one.name)
    return [one for one in found if isinstance(one, Seen)], failed


# ---- the profile ------------------------------------------------------------------------------


def _profile(request: _Request, found: Calibration) -> Profile:
    settings: dict[str, str] = {"task": request.task}
    settings |= {"agc": request.agc} if request.agc != "auto" else {}
    settings |= {"destripe": request.destripe} if request.destripe != "auto" else {}
    settings |= {"fit": request.fit} if request.fit != "none" else {}
    roles = request.roles or _folder_names(request)
    first, second = (
        SourceProfile(
            role=roles[i] if roles else None,
            noise_std=_rounded(source.noise.value),
            noise_curve=source.curve.curve,
            blur_sigma=_rounded(source.blur.value),
            sr_scale=found.scales[i] if found.scales else None,
            crop=request.crop[i],
        )
        for i, source in enumerate(found.sources)
    )
    motion = found.motion.motion
    return Profile(request.name, str(request.output), settings, (first, second), motion)


def _folder_names(request: _Request) -> Roles | None:
    folders = role_folders(request.root, request.task)
    return None if folders is None else (folders[0].name, folders[1].name)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _comments(found: Calibration) -> dict[str, str]:
    comments = {}
    for number, source in enumerate(found.sources, 1):
        for key, one in (("noise_std", source.noise), ("blur_sigma", source.blur)):
            said = f"median of {one.files} files, spread {one.spread:.2g}"
            comments[f"source{number}.{key}"] = said
    moved = found.motion
    said = f"pixels right and down; {moved.files} of {moved.of} pairs within {moved.spread:.2g}"
    comments["motion.shift"] = said
    return comments


# ---- telling ----------------------------------------------------------------------------------

_COLUMNS = ("finding", "remark", "value", "spread", "files")


def _show(request: _Request, found: Calibration, profile: Profile) -> None:
    rows: list[tuple[str, ...]] = []
    for number, source in enumerate(found.sources, 1):
        role = profile.sources[number - 1].role
        rows.extend(_rows(f"source {number}" + (f" ({role})" if role else ""), source))
    if found.scales:
        value, why = "{}, {}".format(*found.scales), ""
    else:
        value, why = "-", "differ; taken from the sizes of every pair"
    rows.append(("times smaller than the fused image", why, value, "", str(found.pairs)))
    moved = found.motion
    value, why = "-", moved.why
    if moved.motion is not None:
        right_down = moved.motion.numbers if len(moved.motion.numbers) == 2 else ()
        value = ", ".join(f"{n:g}" for n in right_down) or "homography"
        why = f"of source {moved.motion.source}, pixels right, down"
    spread = f"{moved.spread:.2g}" if moved.files else ""
    rows.append(("motion", why, value, spread, f"{moved.files} of {moved.of}"))
    console.table(f"{request.name}: {found.pairs} pairs", _COLUMNS, rows, words=2)


def _rows(who: str, source: Source) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for label, one in (("noise, std in grey levels", source.noise), ("blur, sigma", source.blur)):
        value = "-" if one.value is None else f"{one.value:.3g}"
        spread = f"{one.spread:.2g}" if one.files else ""
        rows.append((f"{who}: {label}", one.why, value, spread, f"{one.files} of {one.of}"))
    curve = source.curve
    points = ", ".join(f"{std:g} at {level:g}" for level, std in curve.curve or ())
    rows.insert(1, (f"{who}: noise by level", curve.why, points or "-", "", ""))
    return rows


def _usage(output: Path, name: str) -> str:
    near = output.name == FILE and str(output.parent) in (".", "")
    return name if near else f"{output}:{name}"


def _document(
    request: _Request, found: Calibration, failed: Sequence[Failed], profile: Profile
) -> dict[str, Any]:
    motion = found.motion
    return {
        "schema": SCHEMA,
        "profile": {"name": request.name, "path": str(request.output)},
        "task": request.task,
        "pairs": found.pairs,
        "failed": [{"name": one.name, "error": one.error.message} for one in failed],
        "sources": [
            {
                "role": said.role,
                "noise_std": asdict(source.noise),
                "noise_curve": asdict(source.curve),
                "blur_sigma": asdict(source.blur),
                "sr_scale": said.sr_scale,
                "crop": list(said.crop.sides),
            }
            for source, said in zip(found.sources, profile.sources, strict=True)
        ],
        "motion": {
            **asdict(motion),
            "motion": motion.motion and {**asdict(motion.motion), "text": motion.motion.text},
        },
    }
