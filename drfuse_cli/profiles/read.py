"""``drfuse.toml``: the settings of rigs, by name."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from drfuse_cli.config import TASKS, VIEWS, Agc, Destripe, Fit, Register
from drfuse_cli.degradations import MODES, Curve, Overrides
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.pairs import check_roles
from drfuse_cli.rig import FixedMotion, Margins, ProfileName, Rig, checked

FILE = "drfuse.toml"
NO_PROFILE = "none"

NAME = re.compile(r"[A-Za-z0-9_-]+")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")


@dataclass(frozen=True)
class SourceProfile:
    """What a profile says about one source; ``None`` where it is silent.

    ``role``: the name of its folder or the mark in its file names, or a pattern such as
    ``cam_*_L``. The others as the flags of these names have them; ``noise_curve``: the noise at
    several levels, which takes the place of ``noise_std`` where a picture tells its level.
    """

    role: str | None = None
    noise_std: float | None = None
    noise_curve: Curve | None = None
    blur_sigma: float | None = None
    sr_scale: int | None = None
    psf: str | None = None
    crop: Margins = field(default_factory=Margins)


@dataclass(frozen=True)
class Profile:
    """The settings of one rig; ``settings``: values of flags by the names of these."""

    name: str
    path: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[SourceProfile, SourceProfile] = (SourceProfile(), SourceProfile())
    motion: FixedMotion | None = None

    @property
    def roles(self) -> tuple[str, str] | None:
        first, second = (source.role for source in self.sources)
        return None if first is None or second is None else (first, second)

    @property
    def overrides(self) -> Overrides:
        one, two = self.sources
        return Overrides(
            (one.noise_std, two.noise_std),
            (one.blur_sigma, two.blur_sigma),
            (one.sr_scale, two.sr_scale),
            (one.psf, two.psf),
            (one.noise_curve, two.noise_curve),
        )

    @property
    def rig(self) -> Rig:
        crop = self.sources[0].crop, self.sources[1].crop
        return Rig(crop, self.motion, ProfileName(self.name, self.path))


@dataclass(frozen=True)
class ProfileFile:
    """A file of profiles; ``default``: the one that is used where none is asked for."""

    path: str
    profiles: Mapping[str, Profile]
    default: str | None = None

    def __getitem__(self, name: str) -> Profile:
        if name in self.profiles:
            return self.profiles[name]
        raise DrfuseError(
            f"has no profile {name!r}{_suggest(name, self.profiles)}",
            hint=f"It has {', '.join(self.profiles) or 'none'}. drfuse calibrate makes one.",
            path=self.path,
        )


# ---- finding --------------------------------------------------------------------------------


def find_profile(asked: str | None, *, automatic: bool = True) -> Profile | None:
    """The profile that ``--profile`` names; without it, the default of the file there is.

    ``asked`` is a name in the nearest ``drfuse.toml``, ``FILE.toml``, ``FILE.toml:NAME`` or
    ``none``. Raises ``DrfuseError`` for a file or a name that is not there, and for whatever
    is wrong in the file.
    """
    if asked == NO_PROFILE or (asked is None and not automatic):
        return None
    if asked is not None and (given := re.fullmatch(r"(.*\.toml)(?::(.*))?", asked, re.DOTALL)):
        return _of_file(read_profiles(given[1]), given[2])
    path = find_file()
    if path is None:
        if asked is None:
            return None
        raise DrfuseError(
            f"--profile {asked}: there is no {FILE} here or in a folder above",
            hint="Make one with drfuse calibrate, or name the file: --profile rigs/drfuse.toml",
        )
    found = read_profiles(path)
    if asked is None and found.default is None:
        return None
    return found[asked or found.default or ""]


def find_file(start: Path | None = None) -> str | None:
    """The nearest ``drfuse.toml``, here or above, as a path from here."""
    here = Path.cwd() if start is None else start
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return os.path.relpath(folder / FILE, here)
    return None


def _of_file(found: ProfileFile, name: str | None) -> Profile:
    name = name or found.default
    if name is None and len(found.profiles) == 1:
        name = next(iter(found.profiles))
    if name is not None:
        return found[name]
    raise DrfuseError(
        f"holds {len(found.profiles)} profiles",
        hint=f"Say which: --profile {found.path}:NAME, or profile = NAME at the top of the file.",
        path=found.path,
    )


def read_profiles(path: str | Path) -> ProfileFile:
    """All profiles of a file; raises ``DrfuseError`` naming the key that is wrong."""
    text = read_text(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DrfuseError(f"is not TOML: {error}", hint="Mend that place.", path=path) from None
    return parse_profiles(table, str(path))


def read_text(path: str | Path) -> str:
    try:
        return Path(path).read_bytes().decode()
    except FileNotFoundError:
        raise DrfuseError("no such file", hint="Check the path.", path=path) from None
    except UnicodeDecodeError:
        raise DrfuseError("is not TOML: no UTF-8", hint="Check the path.", path=path) from None
    except OSError as error:
        raise DrfuseError(
            f"cannot be read: {error.strerror}", path=path, code=ExitCode.ENVIRONMENT
        ) from error


# ---- what a file says -------------------------------------------------------------------------


def parse_profiles(table: Mapping[str, Any], path: str) -> ProfileFile:
    """Profiles from a parsed file; what they name lies relative to its folder."""
    reader = _Reader(path)
    top = reader.table(table, {"profile": _name, "profiles": _table}, "")
    profiles = {}
    for name, content in top.get("profiles", {}).items():
        where = f"profiles.{name}"
        if not NAME.fullmatch(name) or name == NO_PROFILE:
            raise reader.wrong(where, "this cannot be a name", "Use letters, digits, - and _.")
        profiles[name] = reader.profile(name, reader.checked(where, content, _table), where)
    default = top.get("profile")
    found = ProfileFile(path, profiles, default)
    if default is not None:
        _ = found[default]
    return found


@dataclass(frozen=True)
class _Reader:
    path: str

    def profile(self, name: str, content: Mapping[str, Any], where: str) -> Profile:
        found = self.table(content, {**_SETTINGS, **_PARTS}, f"{where}.")
        one, two = (
            self.source(found.get(part, {}), f"{where}.{part}") for part in ("source1", "source2")
        )
        motion = found.get("motion") and self.motion(found["motion"], f"{where}.motion")
        for key in ("role", "sr_scale"):
            if (getattr(one, key) is None) != (getattr(two, key) is None):
                raise self.wrong(where, f"one source has {key}, and the other has not", "Say both.")
        if one.role is not None and two.role is not None:
            try:
                check_roles((one.role, two.role))
            except ValueError as error:
                raise self.wrong(where, str(error)) from None
        settings = {key: value for key, value in found.items() if key in _SETTINGS}
        if motion and settings.get("register", "none") != "none":
            raise self.wrong(f"{where}.register", "a fixed motion leaves nothing to look for")
        if "weights" in settings:
            settings["weights"] = self.beside(settings["weights"], only=".safetensors")
        return Profile(name, self.path, settings, (one, two), motion or None)

    def source(self, content: Mapping[str, Any], where: str) -> SourceProfile:
        found = self.table(content, _SOURCE, f"{where}.")
        if found.get("psf") and found.get("blur_sigma"):
            raise self.wrong(where, "both psf and blur_sigma", "Keep one of them.")
        if "noise_curve" in found and "noise_std" not in found:
            raise self.wrong(
                f"{where}.noise_curve",
                "noise_std is missing",
                "It is the noise where no level is known, as for volumes.",
            )
        if found.get("psf", "").lower() == "none":
            del found["psf"]
        elif "psf" in found:
            found["psf"] = self.beside(found["psf"])
        return SourceProfile(**found)

    def motion(self, content: Mapping[str, Any], where: str) -> FixedMotion:
        found = self.table(content, _MOTION, f"{where}.")
        moves = [found[key] for key in ("shift", "homography") if key in found]
        if len(moves) != 1 or "source" not in found:
            raise self.wrong(where, "it needs source, and either shift or homography")
        return FixedMotion(found["source"], moves[0], found.get("size"))

    def table(
        self, content: Mapping[str, Any], known: Mapping[str, _Check], where: str
    ) -> dict[str, Any]:
        for key in content:
            if key not in known:
                guess = _suggest(key, known)
                hint = f"Known here: {', '.join(known)}."
                raise self.wrong(f"{where}{key}", f"unknown key{guess}", hint)
        return {
            key: self.checked(f"{where}{key}", value, known[key]) for key, value in content.items()
        }

    def checked(self, where: str, value: Any, check: _Check) -> Any:
        try:
            return check(value)
        except (ValueError, TypeError) as error:
            raise self.wrong(where, f"{value!r} is not {error}") from None

    def beside(self, file: str, only: str = "") -> str:
        """A file as it lies relative to the folder of this one; names and addresses stay."""
        if not file.endswith(only) or "://" in file:
            return file
        return os.path.join(os.path.dirname(self.path), os.path.expanduser(file))

    def wrong(self, where: str, message: str, hint: str | None = None) -> DrfuseError:
        hint = hint or "docs/profiles.md lists what a profile may say."
        return DrfuseError(f"{where}: {message}", hint=hint, path=self.path)


def _suggest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


# ---- checks: they return the value, or raise ValueError naming what it should be ----------------

_Check = Callable[[Any], Any]


def _table(value: Any) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError("a table")


def _name(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("a text")


def _one_of(known: Iterable[str]) -> _Check:
    choices = tuple(known)

    def check(value: Any) -> Any:
        if value in choices:
            return value
        raise ValueError(f"one of {', '.join(choices)}")

    return check


def _number(low: float, high: float) -> _Check:
    def check(value: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise ValueError(f"a number from {low:g} to {high:g}")

    return check


def _whole(low: int, high: int) -> _Check:
    def check(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError(f"a whole number from {low} to {high}")

    return check


def _device(value: Any) -> str:
    if isinstance(value, str) and _DEVICE.fullmatch(value):
        return value
    raise ValueError("auto, cpu, cuda, cuda:0 or mps")


def _tile(value: Any) -> str:
    if value == "auto":
        return "auto"
    try:
        return str(_whole(0, 1 << 16)(value))
    except ValueError as error:
        raise ValueError(f"auto, or {error}") from None


def _yes_or_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def _list(value: Any, length: int | None = None) -> list[Any]:
    if isinstance(value, list) and (length is None or len(value) == length):
        return value
    raise ValueError("a list" if length is None else f"a list of {length}")


def _curve(value: Any) -> Curve:
    level, noise = _number(0, 255), _number(0, 255)
    try:
        points = tuple((level(x), noise(std)) for x, std in (_list(p, 2) for p in _list(value)))
    except ValueError:
        points = ()
    if points and all(a[0] < b[0] for a, b in pairwise(points)):
        return points
    raise ValueError("a list of [level, standard deviation], levels from 0 to 255 going up")


def _margins(value: Any) -> Margins:
    side = _whole(0, 1 << 16)
    try:
        return Margins(*map(side, _list(value, 4)))
    except ValueError:
        raise ValueError("pixels [left, top, right, bottom]") from None


def _shift(value: Any) -> tuple[float, ...]:
    n = _number(-1e5, 1e5)
    try:
        return checked([n(x) for x in _list(value, 2)])
    except ValueError:
        raise ValueError("pixels [right, down]") from None


def _homography(value: Any) -> tuple[float, ...]:
    n = _number(-1e5, 1e5)
    try:
        return checked([n(x) for row in _list(value, 3) for x in _list(row, 3)])
    except ValueError:
        raise ValueError("three rows of three numbers that can be inverted") from None


def _size(value: Any) -> tuple[int, int]:
    side = _whole(1, 1 << 20)
    try:
        width, height = map(side, _list(value, 2))
    except ValueError:
        raise ValueError("pixels [width, height]") from None
    return width, height


_SETTINGS: dict[str, _Check] = {
    "task": _one_of(TASKS),
    "degrade": _one_of(MODES),
    "cap_blur": _yes_or_no,
    "register": _one_of(get_args(Register)),
    "agc": _one_of(get_args(Agc)),
    "destripe": _one_of(get_args(Destripe)),
    "fit": _one_of(get_args(Fit)),
    "weights": _name,
    "steps": _whole(1, 100),
    "self_ensemble": _whole(1, VIEWS),
    "device": _device,
    "precision": _one_of(("auto", "fp32", "bf16", "fp16")),
    "tile": _tile,
}
_PARTS: dict[str, _Check] = {"source1": _table, "source2": _table, "motion": _table}
_SOURCE: dict[str, _Check] = {
    "role": _name,
    "noise_std": _number(0, 255),
    "noise_curve": _curve,
    "blur_sigma": _number(0, 50),
    "sr_scale": _whole(1, 32),
    "psf": _name,
    "crop": _margins,
}
_MOTION: dict[str, _Check] = {
    "source": _whole(1, 2),
    "shift": _shift,
    "homography": _homography,
    "size": _size,
}
