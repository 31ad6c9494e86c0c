"""From the description in a weight file to a network that its tensors fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from torch import nn

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.models.drfusion import DRFusion
from drfuse_cli.models.recofuse import RecoFuse
from drfuse_cli.networks.fusion_net import Architecture
from drfuse_cli.networks.recofuse.architecture import RecoFuseArchitecture

T = TypeVar("T")
_LARGEST = 2048

_KINDS: dict[str, tuple[type, Callable[[Any], nn.Module]]] = {
    "drfusion": (Architecture, DRFusion),
    "recofuse": (RecoFuseArchitecture, RecoFuse),
}


def build_network(architecture: Mapping[str, Any]) -> nn.Module:
    """The module an architecture describes, with fresh weights.

    Raises DrfuseError (weights) where the description is not one this version can build.
    """
    kind = architecture.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise _unknown(f"kind {kind!r}")
    description, module = _KINDS[kind]
    return module(_read(description, architecture))


def _read(description: type[T], found: Mapping[str, Any]) -> T:
    """A description of sizes from plain numbers, lists and names; what is left out is usual."""
    kinds = get_type_hints(description)
    if unknown := set(found) - set(kinds):
        raise _unknown(f"fields {sorted(unknown)}")
    usual = description()
    return description(
        **{
            field.name: _value(kinds[field.name], found[field.name], getattr(usual, field.name))
            for field in fields(usual)  # type: ignore[arg-type]
            if field.name in found
        }
    )


def _value(kind: Any, found: Any, usual: Any) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(found, Mapping):
            raise _impossible()
        return _read(kind, found)
    if get_origin(kind) is tuple:
        fixed = Ellipsis not in get_args(kind)
        if not isinstance(found, (list, tuple)) or (fixed and len(found) != len(usual)):
            raise _impossible()
        return tuple(_value(int, number, 1) for number in found)
    if kind is int:
        if type(found) is not int or not min(usual, 1) <= found <= _LARGEST:
            raise _impossible()
        return found
    if kind is float:
        if type(found) is not float or not 0 <= found <= 1:
            raise _impossible()
        return found
    allowed = (True, False) if kind is bool else get_args(kind) or (usual,)
    if type(found) is not type(usual) or found not in allowed:
        raise _unknown(f"{found!r}")
    return found


def _unknown(what: str) -> DrfuseError:
    return DrfuseError(
        f"the weights describe an architecture this drfuse does not know ({what})",
        hint="update drfuse, or choose other weights with --weights",
        code=ExitCode.WEIGHTS,
    )


def _impossible() -> DrfuseError:
    return DrfuseError(
        "the weights describe an architecture with impossible sizes", code=ExitCode.WEIGHTS
    )
