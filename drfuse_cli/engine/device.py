"""Which device does the work."""

from __future__ import annotations

import torch

from drfuse_cli.errors import DrfuseError, ExitCode


def choose_device(asked: str) -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the processor.

    Raises DrfuseError (environment) where the named device is not there.
    """
    has_mps = torch.backends.mps.is_available()
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": has_mps}
    if asked == "auto":
        asked = "cuda" if available["cuda"] else "mps" if has_mps else "cpu"
    if not available.get(asked.split(":")[0], False):
        raise DrfuseError(
            f"device {asked!r} is not available here",
            hint="name cpu instead, or see what `drfuse doctor` finds",
            code=ExitCode.ENVIRONMENT,
        )
    return torch.device(asked)
