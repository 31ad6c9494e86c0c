"""``drfuse weights``: what is there, what it is, whether it is whole."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from drfuse_cli.cli import console
from drfuse_cli.cli.options import JsonOption
from drfuse_cli.errors import DrfuseError, ExitCode

weights_app = typer.Typer(
    help="The networks that drfuse can use: list, describe, check, fetch.", no_args_is_help=True
)

Spec = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        help="A bundled name, a .safetensors file, or hf://owner/repo@rev/file.",
    ),
]
Specs = Annotated[
    list[str] | None,
    typer.Argument(metavar="SPEC", help="As for info; all bundled ones by default."),
]


@weights_app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the bundled weights."""
    from drfuse_cli.weights import describe, list_weights

    found = [describe(entry.name) for entry in list_weights()]
    if as_json:
        console.document({"schema": "drfuse.weights-list/1", "weights": found})
    elif found:
        rows = [
            (
                f"{w['name']}{' (default)' if w['default'] else ''}",
                w["method"],
                w["task"],
                w["licence"],
                f"{w['parameters'] / 1e6:.2f} M",
                f"{w['bytes'] / 1e6:.1f} MB",
            )
            for w in found
        ]
        columns = ("name", "method", "task", "licence", "parameters", "size")
        console.table("Bundled weights", columns, rows, words=4)
    else:
        console.note("No weights are bundled. `drfuse train` makes some.")


@weights_app.command()
def info(spec: Spec, as_json: JsonOption = False) -> None:
    """Show what a weights file says about itself, without loading it."""
    from drfuse_cli.weights import describe

    found = describe(spec)
    if as_json:
        console.document({"schema": "drfuse.weights-info/1", **found})
        return
    for line in _lines(found):
        console.result(line)


def _lines(content: dict[str, Any], indent: str = "") -> list[str]:
    """Nested values as indented ``key: value`` lines."""
    lines = []
    for key, value in content.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{key}:", *_lines(value, f"{indent}  ")]
        else:
            lines.append(f"{indent}{key}: {value}")
    return lines


@weights_app.command()
def verify(specs: Specs = None, as_json: JsonOption = False) -> None:
    """Check that weights are whole: sha256, keys, shapes, finite values."""
    from drfuse_cli.weights import list_weights

    names = specs or [entry.name for entry in list_weights()]
    if not names:
        raise DrfuseError(
            "no weights are bundled", hint="Name a .safetensors file.", code=ExitCode.WEIGHTS
        )
    found = [_verify(name) for name in names]
    if as_json:
        console.document({"schema": "drfuse.weights-verify/1", "weights": found})
    else:
        for one in found:
            console.result(f"{one['name']}: {'ok' if one['ok'] else one['error']}")
    if not all(one["ok"] for one in found):
        raise typer.Exit(ExitCode.WEIGHTS)


def _verify(name: str) -> dict[str, Any]:
    from drfuse_cli.weights import verify

    try:
        with console.working(f"checking {name}"):
            loaded = verify(name)
    except DrfuseError as problem:
        return {"name": name, "ok": False, "error": str(problem)}
    return {"name": name, "ok": True, "sha256": loaded.sha256, "path": str(loaded.path)}


@weights_app.command()
def pull(spec: Spec, as_json: JsonOption = False) -> None:
    """Download weights from the hub into the local cache, and check them."""
    from drfuse_cli.weights import pull

    with console.working(f"fetching {spec}"):
        loaded = pull(spec)
    if as_json:
        content = {"name": loaded.name, "path": str(loaded.path), "sha256": loaded.sha256}
        console.document({"schema": "drfuse.weights-pull/1", **content})
    else:
        console.result(str(loaded.path))
