"""What a run is asked to do: degradations, published presets, options."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from drfuse_cli.errors import DrfuseError

if TYPE_CHECKING:
    import numpy as np

Task = Literal["ivif", "medical", "multifocus"]
TASKS: tuple[Task, ...] = ("ivif", "medical", "multifocus")

Method = Literal["drfusion", "recofuse"]

PresetName = Literal["none", "noise", "blur", "composite"]
PRESET_NAMES: tuple[PresetName, ...] = ("none", "noise", "blur", "composite")

Correction = Literal["joint", "none", "paper", "data", "fusion"]

Register = Literal["auto", "none", "translation", "homography"]

Agc = Literal["auto", "none", "percentile", "clahe"]

Fit = Literal["none", "crop", "letterbox"]

Destripe = Literal["auto", "none", "columns", "rows", "both"]


@dataclass(frozen=True)
class Degradation:
    """The model of one source, ``y = pool_s(blur(x)) + noise``.

    ``noise_std`` is the standard deviation as it stands in the file, in grey levels on the
    0..255 scale, per channel. ``blur_sigma`` is in pixels of the full-resolution grid.
    ``psf`` (odd height and width, sum 1) replaces the Gaussian. ``zero_border`` says that
    the blur was made with zero padding. ``origin`` names where each value came from:
    ``flag``, ``profile``, ``preset``, ``estimate``, ``sizes`` or ``default``. ``seen`` is what
    else was found in the file and is left in it: how many times it was ``enlarged``, the
    standard deviation of its ``stripes``, the quality of its ``jpeg``.
    """

    noise_std: float = 0.0
    blur_sigma: float = 0.0
    sr_scale: int = 1
    psf: np.ndarray | None = None
    psf_name: str | None = None
    zero_border: bool = False
    origin: dict[str, str] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("noise standard deviation", self.noise_std, 0.0, 255.0),
            ("blur sigma", self.blur_sigma, 0.0, 50.0),
            ("scale", self.sr_scale, 1, 32),
        ):
            if not low <= value <= high:
                raise DrfuseError(f"{name} {value:g} is outside {low:g}..{high:g}")
        # Of numpy's numbers torch makes tensors in double precision, which no network takes.
        object.__setattr__(self, "noise_std", float(self.noise_std))
        object.__setattr__(self, "blur_sigma", float(self.blur_sigma))

    @property
    def size_only(self) -> Degradation:
        """The same scale and nothing else, for methods that work without operators."""
        origin = {name: of for name, of in self.origin.items() if name == "sr_scale"}
        return Degradation(sr_scale=self.sr_scale, origin=origin, seen=self.seen)

    @property
    def blur_free(self) -> bool:
        """True where nothing was smeared."""
        return self.blur_sigma == 0 and self.psf is None

    @property
    def is_clean(self) -> bool:
        """True where the file is taken to be the scene itself."""
        return self == replace(Degradation(), origin=self.origin)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Degradation):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        psf = None if self.psf is None else (self.psf.shape, self.psf.tobytes())
        return (self.noise_std, self.blur_sigma, self.sr_scale, psf, self.zero_border)


# (blur sigma, noise std before pooling, pooling factor) of source 1 and source 2:
# the settings measured on the published DRFusion samples.
_PUBLISHED: dict[tuple[str, str], tuple[tuple[float, float, int], tuple[float, float, int]]] = {
    ("ivif", "noise"): ((0, 13.97, 1), (0, 13.97, 1)),
    ("ivif", "blur"): ((2, 0, 1), (2, 0, 1)),
    ("ivif", "composite"): ((2, 8.06, 4), (2, 8.06, 1)),
    ("medical", "noise"): ((0, 13.97, 1), (0, 13.97, 1)),
    ("medical", "blur"): ((2, 0, 1), (2, 0, 1)),
    ("medical", "composite"): ((2, 8.06, 1), (2, 13.97, 2)),
    ("multifocus", "noise"): ((0, 13.97, 1), (0, 13.97, 1)),
    ("multifocus", "blur"): ((2, 0, 1), (2, 0, 1)),
    ("multifocus", "composite"): ((2, 8.06, 1), (2, 8.06, 1)),
}


def preset(task: Task, name: PresetName) -> tuple[Degradation, Degradation]:
    """The published degradation of both sources; noise as it stands in the pooled file."""
    if name == "none":
        return Degradation(), Degradation()
    first, second = (
        Degradation(
            noise_std=std / scale,
            blur_sigma=sigma,
            sr_scale=scale,
            origin=dict.fromkeys(("noise_std", "blur_sigma", "sr_scale"), "preset"),
        )
        for sigma, std, scale in _PUBLISHED[task, name]
    )
    return first, second


VIEWS = 8
"""Ways to turn and mirror an image."""


@dataclass(frozen=True)
class FuseOptions:
    """Everything that decides the pixels of a fused image, apart from the inputs."""

    task: Task = "ivif"
    method: Method = "drfusion"
    weights: str | None = None
    steps: int = 3
    correction: Correction = "joint"
    self_ensemble: int = 1
    """Mirrored and turned views of a noisy source that the denoiser averages, 1 to `VIEWS`."""
    restore_first: bool = False
    """Before ReCoFuse, undo with DRFusion what an operator describes."""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    tile: int | None = None
    """Tile edge in pixels; ``None`` decides by size, 0 never tiles."""
    seed: int = 0
    keep_states: bool = False
    """Keep the state after every step, for ``--explain``."""


@dataclass(frozen=True)
class Pair:
    """Two files that saw the same scene."""

    name: str
    source1: Path
    source2: Path
