"""What was found about the alignment of a pair, and what was made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from drfuse_cli.config import Register
from drfuse_cli.registration.motion import Motion

LEAST_GAIN, LEAST_LEAD, LEAST_PROMINENCE = 4.5, 1.5, 3.5
SMALL_GAIN = 5.0
"""Gain of a motion so small that registered pairs are off by as much, for depth alone."""
LEAST_MARGIN = 5.0
"""Gain of a homography over a shift: it has more to fit by chance."""


@dataclass(frozen=True)
class Finding:
    """How one source seems to lie on the other, and the evidence for it.

    ``gain``: by how many standard errors, over blocks of the image, edges agree better under
    ``motion`` than as the files stand. ``lead``: the same against the best of all other
    shifts. ``prominence``: the agreement above that of all shifts, in standard deviations of
    these.
    """

    motion: Motion
    gain: float
    lead: float
    prominence: float

    @property
    def trusted(self) -> bool:
        """True where the sources have enough in common to tell how they lie."""
        return self.lead >= LEAST_LEAD and self.prominence >= LEAST_PROMINENCE

    @property
    def misaligned(self) -> bool:
        """True where they surely do not lie as the files stand."""
        least = LEAST_GAIN if self.matters else SMALL_GAIN
        return self.trusted and self.gain >= least

    @property
    def matters(self) -> bool:
        """Whether this is more than what registered pairs are off where the scene has depth."""
        return self.motion.largest >= max(4.0, 0.0075 * max(self.motion.shape))

    def document(self) -> dict[str, Any]:
        return {
            **motion_document(self.motion),
            "gain": round(self.gain, 2),
            "lead": round(self.lead, 2),
            "prominence": round(self.prominence, 2),
            "trusted": self.trusted,
            "misaligned": self.misaligned,
        }


@dataclass(frozen=True)
class Registration:
    """What ``--register`` did to a pair, or a ``fixed`` motion.

    ``moved``: the source, 1 or 2, that was held against the other. ``applied``: the motion
    that was undone, ``None`` where the pixels are those of the file. ``given``: a fixed motion
    as ``--motion`` takes it.
    """

    mode: Register | Literal["fixed"]
    moved: int
    finding: Finding | None
    applied: Motion | None = None
    given: str | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know: misaligned and left so, or asked for and not possible."""
        found = self.finding
        if self.applied is not None or self.mode == "fixed":
            return ()
        if found is not None and found.misaligned and found.matters:
            return (
                f"the sources look misaligned: source {self.moved} lies "
                f"{found.motion.in_words()} of source {3 - self.moved}; "
                f"--register {found.motion.model} would move it",
            )
        if self.mode != "auto" and (found is None or not found.trusted):
            lack = "are too small" if found is None else "have too little in common"
            return (
                f"--register {self.mode}: the sources {lack} to tell how they lie; "
                "nothing was moved",
            )
        return ()

    def describe(self) -> str | None:
        """One line about what was moved; ``None`` where nothing was."""
        if self.applied is None:
            return None
        rim = max(self.applied.rim)
        border = f"; up to {rim} pixels at the border are mirrored" if rim else ""
        lay = self.applied.in_words()
        lies = "always lies" if self.mode == "fixed" else "lay"
        onto = f"source {3 - self.moved}"
        return f"source {self.moved} {lies} {lay} and was moved onto {onto}{border}"

    def document(self) -> dict[str, Any]:
        """For the sidecar; shifts and matrices in pixels of the fused image."""
        applied = None
        if self.applied is not None:
            applied = {**motion_document(self.applied), "rim": list(self.applied.rim)}
        found = None if self.finding is None else self.finding.document()
        given = {"motion": self.given} if self.given else {}
        return {
            "mode": self.mode,
            "moved": self.moved,
            "found": found,
            "applied": applied,
            **given,
        }


def motion_document(motion: Motion) -> dict[str, Any]:
    return {
        "model": motion.model,
        "shift": [round(n, 2) for n in motion.shift],
        "largest": round(motion.largest, 2),
        "matrix": [[float(f"{n:.9g}") for n in row] for row in motion.matrix.tolist()],
    }
