"""How every pair of a run is made, and what the manifest says of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drfuse_cli import __version__
from drfuse_cli.batch.plan import Work
from drfuse_cli.config import FuseOptions
from drfuse_cli.errors import DrfuseError
from drfuse_cli.psf import load_psf
from drfuse_cli.report import sidecar
from drfuse_cli.sources import Assumptions, Sources

if TYPE_CHECKING:
    from drfuse_cli.engine import Fusion
    from drfuse_cli.weights import LoadedWeights

_COMPARED = (
    *("version", "task", "method", "weights", "steps", "correction_mode", "device"),
    *("self_ensemble", "restore_first", "restored_by", "precision", "tile", "seed"),
)


@dataclass(frozen=True)
class Written:
    """A file of a pair and the digest of its bytes."""

    path: Path
    sha256: str

    def document(self) -> dict[str, str]:
        return {"path": str(self.path), "sha256": self.sha256}


@dataclass(frozen=True)
class Recipe:
    """What the pixels depend on beyond the files; ``device`` and ``precision`` as chosen."""

    told: Assumptions
    options: FuseOptions
    weights: LoadedWeights
    device: str
    precision: str

    def check_files(self) -> None:
        """Raise ``DrfuseError`` for a point-spread function that cannot be used."""
        _ = self.settings

    @cached_property
    def assumed(self) -> dict[str, Any]:
        """What the flags say about the sources; point-spread functions by their content too."""
        overrides = asdict(self.told.overrides)
        del overrides["profiled"]  # a flag of the same value makes the same pixels
        if not overrides["cap_blur"]:
            del overrides["cap_blur"]  # older lines do not say it
        settled = [sidecar.operator_document(one) for one in self.told.settled or ()]
        levels = [one and one.document() for one in self.told.levels or ()]
        sequence: dict[str, Any] = {"settled": settled, "levels": levels} if settled else {}
        if settled and self.told.destripe != "none":
            sequence["stripes"] = self.told.common_stripes()
        motion = self.told.rig.motion
        return {
            "sequence": bool(settled),
            "degrade": self.told.mode,
            **overrides,
            "psf_sha256": self._psf_digests(),
            "crop": self.told.rig.crops,
            "motion": motion and motion.text,
            "register": self.told.register,
            "agc": self.told.agc,
            "destripe": self.told.destripe,
            "fit": self.told.fit,
            **sequence,
        }

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What two runs must share for their images to belong together, ready for JSON."""
        options = self.options
        document = {
            "version": __version__,
            "task": options.task,
            "method": options.method,
            **sidecar.method_document(options, self.weights, self.device, self.precision),
            "seed": options.seed,
            "assumed": self.assumed,
        }
        plain: dict[str, Any] = json.loads(json.dumps(document))  # lists, as in a manifest
        return plain

    def difference(self, document: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
        """The first setting in which a line of a manifest differs: its name, then and now."""
        then, now = _comparable(document), _comparable(self.settings)
        for name in dict.fromkeys([*now, *then]):
            if then.get(name) != now.get(name):
                return name, then.get(name), now.get(name)
        return None

    def check(self, document: Mapping[str, Any], path: Path) -> None:
        """Raise ``DrfuseError`` naming the setting in which a line of a manifest differs."""
        if different := self.difference(document):
            name, then, now = different
            raise DrfuseError(
                f"the run to resume had another {name}: {json.dumps(then)}, now {json.dumps(now)}",
                hint="Give the same settings, or start anew with --overwrite.",
                path=path,
            )

    # ---- lines of the manifest ----------------------------------------------------------------

    def done(
        self,
        work: Work,
        sources: Sources,
        fusion: Fusion,
        seconds: dict[str, float],
        written: Sequence[Written],
    ) -> dict[str, Any]:
        """The line of a pair that was fused; ``written`` in the order of ``work.files``."""
        warnings = [*sources.warnings, *self.weights.warnings, *fusion.warnings]
        document = sidecar.fuse_document(
            sidecar.Run(
                self.options,
                sources.images,
                sources.degradations,
                self.weights,
                fusion,
                str(work.fused),
                seconds,
                warnings,
                sources.registration,
                sources.intake,
                self.told.rig,
            )
        )
        document["output"]["sha256"] = written[-1].sha256
        files = [one.document() for one in written]
        extra = {
            "sources": files[: len(work.restored)],
            "explain": files[len(work.restored) : -1],
        }
        extra = {name: found for name, found in extra.items() if found}
        return {"name": work.name, **document, **extra, "assumed": self.assumed}

    def failed(self, work: Work, error: str) -> dict[str, Any]:
        """The line of a pair that failed."""
        inputs = [{"path": str(path)} for path in work.sources]
        document = {"name": work.name, "schema": sidecar.SCHEMA, **self.settings}
        return {**document, "inputs": inputs, "error": error}

    def _psf_digests(self) -> list[str | None]:
        files = self.told.overrides.psf
        return [None if file is None else _psf_digest(file) for file in files]


def _psf_digest(file: str) -> str:
    return hashlib.sha256(load_psf(file).tobytes()).hexdigest()


def _comparable(document: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: document.get(name) for name in _COMPARED}
    for name in ("weights", "restored_by"):
        if isinstance(named := found[name], Mapping):
            found[name] = named.get("sha256")
    # Older lines do not say these.
    found["self_ensemble"] = document.get("self_ensemble", 1)
    found["restore_first"] = document.get("restore_first", False)
    found["device"] = str(found["device"]).partition(":")[0]
    assumed = document.get("assumed")
    return {**found, "destripe": "none", **(assumed if isinstance(assumed, Mapping) else {})}


def is_done(work: Work, document: Mapping[str, Any]) -> bool:
    """Whether every file that is wanted of a pair stands there as its line says."""
    wanted = {"sources": work.restored, "explain": work.explained, "output": (work.fused,)}
    for key, paths in wanted.items():
        said = document.get(key, [])
        entries = said if isinstance(said, list) else [said]
        digests = [entry.get("sha256") for entry in entries if isinstance(entry, dict)]
        if paths and digests != [_sha256(path) for path in paths]:
            return False
    return True


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
