"""What two sources have been through: by flags, presets, and the files themselves."""

from drfuse_cli.degradations.assumed import assume, believed
from drfuse_cli.degradations.doubts import doubted_flags
from drfuse_cli.degradations.overrides import (
    MAX_SCALE,
    MODES,
    Curve,
    Mode,
    Overrides,
    parse_overrides,
)
from drfuse_cli.degradations.scales import scales_from_sizes, scales_of
from drfuse_cli.degradations.stated import applied
from drfuse_cli.degradations.told import describe

__all__ = [
    "MAX_SCALE",
    "MODES",
    "Curve",
    "Mode",
    "Overrides",
    "applied",
    "assume",
    "believed",
    "describe",
    "doubted_flags",
    "parse_overrides",
    "scales_from_sizes",
    "scales_of",
]
