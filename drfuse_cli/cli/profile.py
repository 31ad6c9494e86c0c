"""``--profile``: what a rig's profile says, where no flag says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from drfuse_cli.cli import console
from drfuse_cli.config import Register
from drfuse_cli.degradations import Overrides
from drfuse_cli.errors import DrfuseError
from drfuse_cli.profiles import Profile, find_profile
from drfuse_cli.rig import Margins, Rig, parse_crop, parse_motion

if TYPE_CHECKING:
    from drfuse_cli.pairs import Roles

_PANEL = "Rig"
_KEY = "drfuse.profile"


def _load(ctx: typer.Context, asked: str | None, automatic: bool) -> str | None:
    """Make the profile's settings the defaults of all flags that are still to be read."""
    if ctx.resilient_parsing:
        return asked
    profile = find_profile(asked, automatic=automatic)
    if profile is not None:
        ctx.default_map = {**(ctx.default_map or {}), **profile.settings}
        ctx.meta[_KEY] = profile
    return asked


def _load_default(ctx: typer.Context, asked: str | None) -> str | None:
    return _load(ctx, asked, automatic=True)


def _load_asked(ctx: typer.Context, asked: str | None) -> str | None:
    return _load(ctx, asked, automatic=False)


ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME|FILE.toml[:NAME]",
        is_eager=True,
        callback=_load_default,
        help="Settings of a rig, from drfuse.toml here or in a folder above, or another file; "
        "flags win over it. Without this, the default that drfuse.toml names, if any; none "
        "leaves that out.",
        rich_help_panel=_PANEL,
    ),
]
AskedProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME|FILE.toml[:NAME]",
        is_eager=True,
        callback=_load_asked,
        help="Settings of a rig, from drfuse.toml here or in a folder above, or another file; "
        "flags win over it.",
        rich_help_panel=_PANEL,
    ),
]
CropOption = Annotated[
    str | None,
    typer.Option(
        "--crop",
        metavar="L,T,R,B[,L2,T2,R2,B2]",
        help="Pixels to cut off each file first: left, top, right, bottom.",
        rich_help_panel=_PANEL,
    ),
]
MotionOption = Annotated[
    str | None,
    typer.Option(
        "--motion",
        metavar="SOURCE:RIGHT,DOWN",
        help="How source 1 or 2 lies on the other in every pair, in pixels of the fused image: "
        "it is moved back without a look. Nine numbers make a homography.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True)
class Chosen:
    """What flags and profile say together."""

    overrides: Overrides
    register: Register
    rig: Rig
    profile: Profile | None
    from_profile: tuple[str, ...]
    """What the profile says that no flag does, in words."""

    @property
    def roles(self) -> Roles | None:
        return None if self.profile is None else self.profile.roles

    def tell(self) -> None:
        """Print which profile is followed, and in what."""
        if self.profile is not None:
            said = ", ".join(self.from_profile) or "nothing that flags have not said"
            console.note(f"profile {self.profile.name} ({self.profile.path}): {said}")

    def refuse_for_volumes(self) -> None:
        """Raise ``DrfuseError`` for what DICOM and NIfTI cannot follow."""
        crop, motion = self.rig.crops, self.rig.motion
        for name, given in (("crop", crop), ("motion", motion)):
            if given:
                raise DrfuseError(
                    f"a {name} is not for DICOM and NIfTI, whose files say where they lie",
                    hint="Leave it out, with --profile none where a profile holds it.",
                )


def choose(
    ctx: typer.Context,
    flags: Overrides,
    register: Register = "auto",
    crop: str | None = None,
    motion: str | None = None,
) -> Chosen:
    """Flags over profile over defaults.

    ``--degrade`` takes the place of all that a profile says of noise and blur, and
    ``--register`` that of its motion. Raises ``DrfuseError`` for ``--register`` beside
    ``--motion``.
    """
    profile: Profile | None = ctx.meta.get(_KEY)
    told = profile.overrides if profile else Overrides()
    if _typed(ctx, "degrade"):
        told = Overrides(sr_scale=told.sr_scale)
    overrides = flags.over(told)
    rig = profile.rig if profile else Rig()
    if crop is not None:
        rig = replace(rig, crop=parse_crop(crop))
    if motion is not None:
        if register != "none" and _typed(ctx, "register"):
            raise DrfuseError(
                f"--motion and --register {register} contradict each other", hint="Give one."
            )
        rig = replace(rig, motion=parse_motion(motion))
    elif _typed(ctx, "register"):
        rig = replace(rig, motion=None)
    if rig.motion is not None:
        register = "none"
    said = _said(ctx, profile, overrides, rig) if profile else ()
    return Chosen(overrides, register, rig, profile, said)


def _typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def _said(ctx: typer.Context, profile: Profile, overrides: Overrides, rig: Rig) -> tuple[str, ...]:
    settings = [
        f"{name} {value}"
        for name, value in profile.settings.items()
        if name in ctx.params and not _typed(ctx, name)
    ]
    described = {
        "noise_std": "noise",
        "noise_curve": "noise curve",
        "blur_sigma": "blur",
        "psf": "point-spread function",
        "sr_scale": "scale",
    }
    names = {name for name, _ in overrides.profiled}
    settings += [text for name, text in described.items() if name in names]
    if "crop" in ctx.params:
        roles = ["roles"] if profile.roles and "root" in ctx.params else []
        cut = ["crop"] if rig.crop == profile.rig.crop != (Margins(), Margins()) else []
        moved = ["motion"] if rig.motion and rig.motion == profile.motion else []
        settings += roles + cut + moved
    return tuple(settings)
