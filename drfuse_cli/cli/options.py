"""Options that several commands share: declared once, worded once."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import typer

from drfuse_cli.cli.method import STEPS, AskedMethod
from drfuse_cli.config import (
    VIEWS,
    Agc,
    Correction,
    Destripe,
    Fit,
    FuseOptions,
    Method,
    Register,
    Task,
)
from drfuse_cli.degradations import Mode
from drfuse_cli.errors import DrfuseError
from drfuse_cli.medical.options import Axis, Colours

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_DEGRADATION = "Degradation"
_METHOD = "Method"
_EXTRA = "Extra output"
_MEDICAL = "DICOM and NIfTI"

TaskOption = Annotated[
    Task,
    typer.Option(
        "--task",
        help="What the sources are. ivif: infrared, visible; medical: MRI or CT, then PET or "
        "SPECT (or MRI beside CT); multifocus: near, far.",
    ),
]

# ---- degradation ----------------------------------------------------------------------------

DegradeOption = Annotated[
    Mode,
    typer.Option(
        "--degrade",
        help="What the files went through: auto estimates noise and blur and takes the scale "
        "from the sizes; the others are the published presets.",
        rich_help_panel=_DEGRADATION,
    ),
]
ApplyOption = Annotated[
    Mode,
    typer.Option(
        "--degrade",
        help="The published preset to apply; auto applies only what the other flags say.",
        rich_help_panel=_DEGRADATION,
    ),
]
NoiseOption = Annotated[
    str | None,
    typer.Option(
        "--noise-std",
        metavar="S[,S2]",
        help="Standard deviation of the noise as it stands in the file, in grey levels (0..255).",
        rich_help_panel=_DEGRADATION,
    ),
]
BlurOption = Annotated[
    str | None,
    typer.Option(
        "--blur-sigma",
        metavar="B[,B2]",
        help="Sigma of a Gaussian blur, in pixels of the fused image.",
        rich_help_panel=_DEGRADATION,
    ),
]
CapBlurOption = Annotated[
    bool,
    typer.Option(
        "--cap-blur",
        help="Lower a stated sigma to the most that the file can have been blurred by: too large "
        "a sigma rings.",
        rich_help_panel=_DEGRADATION,
    ),
]
PsfOption = Annotated[
    str | None,
    typer.Option(
        "--psf",
        metavar="FILE[,FILE2]",
        help="Any point-spread function instead of a Gaussian: .npy or a grey image of odd "
        "size; 'none' for one source.",
        rich_help_panel=_DEGRADATION,
    ),
]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        "--sr-scale",
        metavar="N[,N2]",
        help="How many times smaller the source is than the fused image.",
        rich_help_panel=_DEGRADATION,
    ),
]

RegisterOption = Annotated[
    Register,
    typer.Option(
        "--register",
        help="Whether the sources lie on each other: auto looks, warns where they do not, and "
        "moves nothing; translation and homography move one of them.",
        rich_help_panel=_DEGRADATION,
    ),
]

AgcOption = Annotated[
    Agc,
    typer.Option(
        "--agc",
        help="How the counts of a thermal camera become grey levels: auto stretches 16-bit grey "
        "files that use a small part of their range; percentile stretches any; clahe evens out "
        "contrast too; none takes all files as they stand.",
        rich_help_panel=_DEGRADATION,
    ),
]
DestripeOption = Annotated[
    Destripe,
    typer.Option(
        "--destripe",
        help="Stripes of an infrared source, taken out before all else: auto those of its columns "
        "where it shows them, unless --degrade names a preset; columns, rows and both in any "
        "case; none leaves them in.",
        rich_help_panel=_DEGRADATION,
    ),
]
FitOption = Annotated[
    Fit,
    typer.Option(
        "--fit",
        help="What to do about sizes that are no whole multiples of each other: none refuses "
        "them; crop cuts the larger source and resamples it; letterbox keeps what it alone sees.",
        rich_help_panel=_DEGRADATION,
    ),
]

# ---- method ---------------------------------------------------------------------------------

_METHODS = (
    "drfusion: noise, blur and low resolution; recofuse: low light, haze and low contrast of "
    "infrared and visible pairs"
)
MethodOption = Annotated[
    Method, typer.Option("--method", help=f"{_METHODS}.", rich_help_panel=_METHOD)
]
AnyMethodOption = Annotated[
    AskedMethod,
    typer.Option(
        "--method", help=f"{_METHODS}; auto: by what the files show.", rich_help_panel=_METHOD
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="NAME|FILE|hf://...",
        help="A bundled name, a .safetensors file, or hf://owner/repo@rev/file; by default "
        "the bundled weights of the task.",
        rich_help_panel=_METHOD,
    ),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        "--steps",
        min=1,
        max=100,
        help="Sampling steps: 3, or 6 for recofuse.",
        rich_help_panel=_METHOD,
    ),
]
NoCorrectionOption = Annotated[
    bool,
    typer.Option(
        "--no-correction",
        help="Do not hold the result to the observations after each step.",
        rich_help_panel=_METHOD,
    ),
]
CorrectionOption = Annotated[
    Correction | None, typer.Option("--correction", help="Parts of the correction.", hidden=True)
]
SelfEnsembleOption = Annotated[
    int,
    typer.Option(
        "--self-ensemble",
        min=1,
        max=VIEWS,
        help="Denoise so many mirrored and turned views of a noisy source and average them: "
        "better, and so many times the work.",
        rich_help_panel=_METHOD,
    ),
]
RestoreFirstOption = Annotated[
    bool,
    typer.Option(
        "--restore-first",
        help="With recofuse: first undo noise, blur and low resolution with DRFusion, as "
        "--degrade and the other flags say. --method auto does so where it takes recofuse.",
        rich_help_panel=_METHOD,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute."),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", help="Arithmetic of the network."),
]
TileOption = Annotated[
    str,
    typer.Option(
        "--tile",
        metavar="auto|N|0",
        help="Pixels per side that the network sees at once: less memory; 0 never tiles.",
        rich_help_panel=_METHOD,
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes beside this one; one a core by default."),
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Processor threads; all by default.")
]

# ---- pairs ----------------------------------------------------------------------------------

UnpairedOption = Annotated[
    bool, typer.Option("--allow-unpaired", help="Skip files without a partner.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N pairs.")
]

# ---- output ---------------------------------------------------------------------------------

OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that exist already.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Keep what an interrupted run has done already.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
SaveSourcesOption = Annotated[
    str | None,
    typer.Option(
        "--save-sources",
        metavar="DIR",
        help="Also write the two restored sources, source1.png and source2.png.",
        rich_help_panel=_EXTRA,
    ),
]
SaveFoldersOption = Annotated[
    str | None,
    typer.Option(
        "--save-sources",
        metavar="DIR",
        help="Also write the restored sources, into DIR/source1 and DIR/source2.",
        rich_help_panel=_EXTRA,
    ),
]
ExplainOption = Annotated[
    str | None,
    typer.Option(
        "--explain",
        metavar="DIR",
        help="Also write the weight map, the state after every step, and the residuals.",
        rich_help_panel=_EXTRA,
    ),
]
NoSidecarOption = Annotated[
    bool,
    typer.Option("--no-sidecar", help="Do not write OUT.json.", rich_help_panel=_EXTRA),
]

# ---- medical --------------------------------------------------------------------------------

WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="C,W[,C2,W2]",
        help="Centre and width of the range that becomes black to white, in the units of the "
        "file; 'auto' for the window that the file names, or else one that fits its values.",
        rich_help_panel=_MEDICAL,
    ),
]
SliceOption = Annotated[
    str | None,
    typer.Option(
        "--slice",
        metavar="N[,N2]",
        help="One slice or frame of a volume, counted from 1.",
        rich_help_panel=_MEDICAL,
    ),
]
AxisOption = Annotated[
    Axis,
    typer.Option(
        "--axis",
        help="How volumes are cut into slices; auto: the way they were taken, where that shows.",
        rich_help_panel=_MEDICAL,
    ),
]
ColormapOption = Annotated[
    Colours,
    typer.Option(
        "--colormap",
        help="Colours for a grey source 2; auto: hot, except for MR and CT.",
        rich_help_panel=_MEDICAL,
    ),
]
IgnoreGeometryOption = Annotated[
    bool,
    typer.Option(
        "--ignore-geometry",
        help="Take the sources voxel for voxel, wherever their files say that they lie.",
        rich_help_panel=_MEDICAL,
    ),
]

# ---- parsing --------------------------------------------------------------------------------

_DEVICES = ("auto", "cpu", "cuda", "mps")


def parse_device(text: str, flag: str = "--device") -> str:
    """``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; raises ``DrfuseError`` otherwise."""
    kind, _, number = text.partition(":")
    if kind not in _DEVICES or ("" if kind != "cuda" else number) != number:
        raise _bad_value(flag, text, f"Use one of {', '.join(_DEVICES)}.")
    if ":" in text and not (number.isascii() and number.isdecimal()):
        raise _bad_value(flag, text, "Number a GPU like cuda:0.")
    return text


def parse_blocks(text: str | None) -> tuple[int, int, int] | None:
    """Blocks of the denoiser at its three resolutions from ``A,B,C``."""
    if text is None:
        return None
    numbers = [int(part) if part.isdecimal() else 0 for part in text.split(",")]
    if len(numbers) != 3 or min(numbers) < 1:
        raise DrfuseError(
            f"--denoiser-blocks {text}: not three whole numbers from 1 up",
            hint="such as 4,4,6",
        )
    a, b, c = numbers
    return a, b, c


def parse_aim(text: str | None) -> dict[str, float]:
    """What scores count from ``NAME=COUNT,...``; raises ``DrfuseError`` for anything else."""
    found = {}
    for part in text.split(",") if text else ():
        name, _, count = (piece.strip() for piece in part.partition("="))
        try:
            found[name] = float(count)
        except ValueError:
            found[name] = math.nan
        if not (name and 0 <= found[name] < math.inf):
            raise _bad_value("--aim", part, "Give scores with what they count: Q_P=4.5,Q_CB=1.3.")
    return found


def parse_tile(text: str) -> int | None:
    """The tile edge; ``None`` for ``auto``. Raises ``DrfuseError`` for anything else."""
    if text == "auto":
        return None
    if not (text.isascii() and text.isdecimal()):
        raise _bad_value("--tile", text, "Use auto, 0, or a number of pixels such as 512.")
    return int(text)


def parse_correction(no_correction: bool, mode: Correction | None) -> Correction:
    """The correction that both flags ask for; raises ``DrfuseError`` where they disagree."""
    if no_correction and mode not in (None, "none"):
        raise DrfuseError(
            f"--no-correction and --correction {mode} contradict each other", hint="Give one."
        )
    return "none" if no_correction else mode or "joint"


def fuse_options(
    *,
    task: Task,
    method: Method,
    weights: str | None,
    steps: int | None,
    no_correction: bool,
    correction: Correction | None,
    self_ensemble: int = 1,
    restore_first: bool = False,
    device: str,
    precision: Precision,
    tile: str,
    seed: int,
    keep_states: bool = False,
) -> FuseOptions:
    """What the flags of a command that fuses ask for; raises ``DrfuseError`` naming a flag."""
    if restore_first and method != "recofuse":
        raise DrfuseError(
            "--restore-first is for --method recofuse: drfusion restores by itself",
            hint="Leave it out, or take --method recofuse.",
        )
    return FuseOptions(
        task=task,
        method=method,
        weights=weights,
        steps=steps or STEPS[method],
        correction=parse_correction(no_correction, correction),
        self_ensemble=self_ensemble,
        restore_first=restore_first,
        device=parse_device(device),
        precision=precision,
        tile=parse_tile(tile),
        seed=seed,
        keep_states=keep_states,
    )


def check_infrared(task: Task, agc: Agc, destripe: Destripe) -> None:
    """Raise ``DrfuseError`` for what only an infrared source can follow, where there is none."""
    if task == "ivif":
        return
    if agc in ("percentile", "clahe"):
        raise DrfuseError(
            f"--agc {agc} is for infrared sources, and --task {task} has none",
            hint="Leave it out; DICOM and NIfTI have --window.",
        )
    if destripe not in ("auto", "none"):
        raise DrfuseError(
            f"--destripe {destripe} is for infrared sources, and --task {task} has none",
            hint="Leave it out.",
        )


def _bad_value(flag: str, text: str, hint: str) -> DrfuseError:
    return DrfuseError(f"{flag} is {text!r}", hint=hint)
