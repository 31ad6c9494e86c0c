"""``drfuse.toml``: the settings of rigs, by name; read, and written by ``drfuse calibrate``."""

from drfuse_cli.profiles.read import (
    FILE,
    NAME,
    Profile,
    SourceProfile,
    find_file,
    find_profile,
    read_profiles,
    read_text,
)

__all__ = [
    "FILE",
    "NAME",
    "Profile",
    "SourceProfile",
    "find_file",
    "find_profile",
    "read_profiles",
    "read_text",
]
