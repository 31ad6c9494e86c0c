"""The libraries behind the extra ``drfuse[medical]``."""

from __future__ import annotations

import logging
import os
import warnings

from drfuse_cli.errors import DrfuseError, ExitCode


def require_medical(path: str | os.PathLike[str] | None = None) -> None:
    """Make pydicom and nibabel ready for use, and silent: their warnings quote patient data.

    Raises ``DrfuseError`` (environment) where they are not installed.
    """
    try:
        import nibabel  # noqa: F401
        import pydicom.config
    except ImportError as error:
        raise DrfuseError(
            "DICOM and NIfTI need pydicom and nibabel, which are not installed",
            hint='Install them: pip install "drfuse[medical]"',
            path=None if path is None else os.fspath(path),
            code=ExitCode.ENVIRONMENT,
        ) from error
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for name in ("pydicom", "nibabel.global"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"(pydicom|nibabel)(\.|$)")
