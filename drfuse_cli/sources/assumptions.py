"""What the flags, and for a sequence its frames, say about the sources of every pair."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drfuse_cli.config import Agc, Degradation, Destripe, Fit, Register, Task
from drfuse_cli.degradations import Mode, Overrides
from drfuse_cli.degradations.stripes import Stripes, document
from drfuse_cli.rig import Rig
from drfuse_cli.sources.levels import Both


@dataclass(frozen=True)
class Assumptions:
    """What the flags say about sources.

    Of a sequence, ``settled`` is what both sources of every pair have been through, ``levels``
    those of both and ``stripes`` those of the first.
    """

    task: Task
    mode: Mode
    overrides: Overrides
    register: Register = "none"
    agc: Agc = "auto"
    destripe: Destripe = "none"
    fit: Fit = "none"
    rig: Rig = field(default_factory=Rig)
    doubt_flags: bool = False
    """Compare what is stated with what the file shows, which takes an estimate of each."""
    settled: tuple[Degradation, Degradation] | None = None
    levels: Both | None = None
    stripes: Stripes | None = None

    def common_stripes(self) -> dict[str, Any]:
        """For the sidecar of a sequence."""
        return document(self.destripe, self.stripes)
