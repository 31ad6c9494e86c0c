"""Weights: a name, a file or a hub address becomes checked tensors; nothing is unpickled."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from drfuse_cli import hub
from drfuse_cli.errors import DrfuseError
from drfuse_cli.weights_file import (
    MADE_BY_DRFUSE,
    METADATA_KEY,
    SCHEMA,
    Header,
    file_sha256,
    open_weights,
    parse_object,
    read_header,
    refuse_suffix,
    shortly,
    weights_error,
)

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ManifestEntry:
    """One line of ``weights/manifest.json``: what is bundled and where it came from."""

    name: str
    path: Path
    sha256: str
    task: str
    method: str
    default: bool
    architecture: dict[str, Any]
    parameters: int
    licence: str
    training: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LoadedWeights:
    """Checked weights: float32 tensors on the CPU that fit the architecture exactly.

    ``name`` can be given to `load_weights` again. ``sha256`` is that of the file.
    """

    name: str
    path: Path
    sha256: str
    task: str
    method: str
    architecture: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    warnings: tuple[str, ...] = ()

    def network(self) -> torch.nn.Module:
        """A new network with these weights, on the CPU, in evaluation mode."""
        module = _build(self.architecture, self.path)
        module.load_state_dict(self.tensors, strict=True)
        return module.eval()


@dataclass(frozen=True)
class _Source:
    """Where weights lie, and the digest they were promised to have."""

    name: str
    path: Path
    sha256: str | None = None
    mend: str = ""
    entry: ManifestEntry | None = None


# ---- the public surface --------------------------------------------------------------------


def load_weights(spec: str | None, task: str, method: str = "drfusion") -> LoadedWeights:
    """Find, read and check weights.

    ``spec`` is a bundled name, a ``.safetensors`` path, ``hf://owner/repo[@rev]/file``, or
    None for the default of ``task`` and ``method``. Weights of another task load with a
    warning; weights of another method, with other keys or shapes, or with values that are not
    finite are refused.
    Raises DrfuseError with exit code 3, naming the file.
    """
    loaded = _load(_locate(spec, task, method))
    if loaded.method != method:
        raise weights_error(
            f"these weights are for the method {loaded.method!r}, not {method!r}",
            loaded.path,
            f"Pass --method {loaded.method}, or other weights.",
        )
    if loaded.task == task:
        return loaded
    warning = f"weights {loaded.name} were trained for {loaded.task}, the task is {task}"
    return replace(loaded, warnings=(*loaded.warnings, warning))


def save_weights(
    path: str | Path,
    tensors: Mapping[str, torch.Tensor],
    architecture: Mapping[str, Any],
    task: str,
    method: str = "drfusion",
    *,
    extra: Mapping[str, Any] | None = None,
    dtype: Literal["fp16", "bf16", "fp32"] = "fp16",
) -> str:
    """Write a file that `load_weights` reads and return its sha256.

    ``extra`` is JSON-ready and lies beside the architecture in the metadata. The write is
    atomic and the bytes depend on the arguments alone. Raises DrfuseError for values that are
    not finite in ``dtype``.
    """
    import torch
    from safetensors.torch import save

    from drfuse_cli.imageio import write_bytes

    path = Path(path)
    refuse_suffix(path)
    kind = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}[dtype]
    stored = {
        name: tensor.detach().to("cpu", kind).clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    _refuse_not_finite(stored, path)
    # One metadata key: the library writes several in an order that changes from run to run.
    document = dict(
        extra or {}, schema=SCHEMA, architecture=dict(architecture), task=task, method=method
    )
    metadata = {METADATA_KEY: json.dumps(document, sort_keys=True, allow_nan=False)}
    data = save(stored, metadata=metadata)
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def list_weights() -> tuple[ManifestEntry, ...]:
    """The bundled weights in the order of the manifest; empty where none are bundled."""
    folder = weights_folder()
    return () if folder is None else _read_manifest(folder / "manifest.json")


def default_weights(task: str | None, method: str) -> ManifestEntry:
    """The bundled weights that stand for none named. Raises DrfuseError where there are none."""
    entries = list_weights()
    for entry in entries:
        if (entry.task, entry.method) == (task, method) and entry.default:
            return entry
    known = ", ".join(entry.name for entry in entries if entry.method == method)
    raise weights_error(
        f"no weights of {method} are bundled for the task {task!r}",
        None,
        f"Pass --weights with one of: {known}." if known else "Pass --weights FILE.safetensors.",
    )


def describe(spec: str) -> dict[str, Any]:
    """What a file says about itself, ready for JSON, without loading its tensors."""
    source = _locate(spec, None)
    with open_weights(source.path) as handle:
        header = read_header(handle, source.path)
    document: dict[str, Any] = {
        **header.metadata,  # first: what a file says of itself never hides what was measured
        "name": source.name,
        "path": str(source.path),
        "sha256": file_sha256(source.path),
        "bytes": header.file_bytes,
        "parameters": header.parameters,
        "dtypes": sorted(set(header.dtypes.values())),
        "bundled": source.entry is not None,
    }
    if source.entry is not None:
        for key in ("default", "licence", "training", "validation"):
            document[key] = getattr(source.entry, key)
    return document


def verify(spec: str) -> LoadedWeights:
    """Run every check of `load_weights`, and compare a bundled file with its manifest entry."""
    source = _locate(spec, None)
    loaded = _load(source)
    if source.entry is not None:
        parameters = sum(tensor.numel() for tensor in loaded.tensors.values())
        _compare_with_manifest(source, "parameters", parameters)
        for key in ("task", "method", "architecture"):
            _compare_with_manifest(source, key, getattr(loaded, key))
    return loaded


def pull(spec: str) -> LoadedWeights:
    """Download hub weights anew into the local cache and check them; local ones are checked."""
    return _load(_locate(spec, None, refresh=True))


# ---- finding --------------------------------------------------------------------------------


def weights_folder() -> Path | None:
    """The folder of the bundled weights: inside an installed wheel, beside a checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "_weights", package.parent / "weights"):
        if (folder / "manifest.json").is_file():
            return folder
    return None


def _locate(
    spec: str | None, task: str | None, method: str = "drfusion", *, refresh: bool = False
) -> _Source:
    if spec is None:
        return _default(task, method)
    if spec.startswith(hub.SCHEME):
        return _from_hub(spec, refresh=refresh)
    if "://" in spec:
        raise weights_error(
            "only hf:// addresses can be fetched",
            spec,
            "Download the file and pass its path, or write hf://owner/repo/file.safetensors.",
        )
    for entry in list_weights():
        if entry.name == spec:
            return _bundled(entry)
    return _local(spec)


def _default(task: str | None, method: str) -> _Source:
    return _bundled(default_weights(task, method))


def _bundled(entry: ManifestEntry) -> _Source:
    mend = "The bundled file was damaged or changed: reinstall drfuse, or restore the checkout."
    if not entry.path.is_file():
        raise weights_error("this bundled file is missing", entry.path, mend)
    return _Source(entry.name, entry.path, entry.sha256, mend, entry)


def _from_hub(spec: str, *, refresh: bool) -> _Source:
    refuse_suffix(Path(hub.HubFile.parse(spec).file), spec)
    path = hub.fetch(spec, refresh=refresh)
    mend = f"Fetch it again: drfuse weights pull {spec}"
    return _Source(spec, path, hub.stored_digest(path), mend)


def _local(spec: str) -> _Source:
    path = Path(os.path.expanduser(spec))
    if os.path.isdir(path):
        raise weights_error("this is a folder", spec, "Give a .safetensors file that lies in it.")
    if not path.suffix and path.name == spec and not os.path.exists(path):
        raise weights_error("no bundled weights have this name", spec, _near_names(path))
    refuse_suffix(path, spec)
    if not os.path.exists(path):
        raise weights_error("no such file", spec, _near_names(path))
    if not os.path.isfile(path):
        raise weights_error("this is not a regular file", spec, MADE_BY_DRFUSE)
    return _Source(spec, path)


def _near_names(path: Path) -> str:
    """A hint with the names that the user may have meant."""
    try:
        files = sorted(str(file) for file in path.parent.glob("*.safetensors"))
    except (OSError, ValueError):
        files = []
    by_name = {Path(file).name: file for file in files}
    names = [entry.name for entry in list_weights()]
    near = difflib.get_close_matches(path.name, [*names, *by_name], n=3)
    if near:
        return f"Did you mean {' or '.join(by_name.get(name, name) for name in near)}?"
    return f"Bundled: {', '.join(names) or 'none'}. Otherwise give the path of a .safetensors file."


# ---- reading --------------------------------------------------------------------------------


def _load(source: _Source) -> LoadedWeights:
    _check_digest(source)
    with open_weights(source.path) as handle:
        header = read_header(handle, source.path)
        _check_layout(header, source.path)
        handle.seek(0)
        data = handle.read()
    return LoadedWeights(
        name=source.name,
        path=source.path,
        sha256=hashlib.sha256(data).hexdigest(),
        task=header.metadata["task"],
        method=header.metadata["method"],
        architecture=header.metadata["architecture"],
        tensors=_tensors(data, source.path),
    )


def _tensors(data: bytes, path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        stored = load(data)
    except SafetensorError as error:
        raise weights_error(f"this is not a valid safetensors file ({error})", path) from error
    _refuse_not_finite(stored, path)
    return {name: tensor.float() for name, tensor in stored.items()}


def _read_manifest(path: Path) -> tuple[ManifestEntry, ...]:
    with open_weights(path) as handle:
        document = parse_object(handle.read(), "the manifest", path)
    if document.get("schema") != SCHEMA:
        raise weights_error(f"this is not a manifest of schema {SCHEMA}", path, "Reinstall drfuse.")
    try:
        return tuple(_manifest_entry(row, path.parent) for row in document["weights"])
    except (KeyError, TypeError, ValueError) as error:
        raise weights_error(
            f"the manifest is damaged ({error!r})", path, "Reinstall drfuse."
        ) from error


def _manifest_entry(row: dict[str, Any], folder: Path) -> ManifestEntry:
    fields = {key: value for key, value in row.items() if key in ManifestEntry.__annotations__}
    if Path(row["file"]).name != row["file"]:
        raise ValueError(f"{row['file']!r} is not a plain file name")
    return ManifestEntry(**{"default": False, **fields, "path": folder / row["file"]})


# ---- checking -------------------------------------------------------------------------------


def _check_digest(source: _Source) -> None:
    if source.sha256 is None:
        return
    found = file_sha256(source.path)
    if found != source.sha256:
        raise weights_error(
            f"sha256 is {found[:12]}..., expected {source.sha256[:12]}...", source.path, source.mend
        )


def _check_layout(header: Header, path: Path) -> None:
    """Compare keys and shapes with the network that the file itself describes."""
    # On the meta device nothing is allocated, however large a network a file asks for.
    network = _build(header.metadata["architecture"], path, device="meta")
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = header.shapes
    wrong = [
        f"{name} {found[name]}, expected {expected[name]}"
        for name in expected
        if name in found and found[name] != expected[name]
    ]
    faults = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": wrong,
    }
    text = "; ".join(f"{len(v)} {kind}: {shortly(v)}" for kind, v in faults.items() if v)
    if text:
        raise weights_error(f"the tensors do not fit the network ({text})", path, MADE_BY_DRFUSE)


def _build(
    architecture: dict[str, Any], path: Path, device: Literal["cpu", "meta"] = "cpu"
) -> torch.nn.Module:
    import torch

    from drfuse_cli.models import build_network

    hint = "The file is damaged, or a newer drfuse wrote it."
    try:
        with torch.device(device):
            return build_network(architecture)
    except DrfuseError as error:
        raise weights_error(error.message, path, error.hint or hint) from error
    except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise weights_error(f"its architecture cannot be built ({error!r})", path, hint) from error


def _refuse_not_finite(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    bad = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if bad:
        raise weights_error(
            f"values that are not finite in {shortly(bad)}",
            path,
            "Its training diverged, or a value is too large for the stored type.",
        )


def _compare_with_manifest(source: _Source, key: str, found: object) -> None:
    promised = getattr(source.entry, key)
    if found != promised:
        raise weights_error(
            f"{key} is {found!r}, the manifest says {promised!r}", source.path, source.mend
        )
