"""Put a trained weight file into weights/ and write its line of the manifest.

    python tools/bundle_weights.py RUN.safetensors --name ivif-small --data "..." \
        --licence "..." --command "drfuse train ..." --scores scores.json

``--scores`` is the document that ``bench/quality/run.py --json`` writes for these weights, or for
ReCoFuse the ``scores.json`` of ``bench/recofuse/run.py``.
``--blend EARLIER.safetensors SHARE`` averages them with an earlier stage of the same run.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from drfuse_cli.weights import describe, load_weights
from drfuse_cli.weights_file import SCHEMA

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
COLUMNS = ("Q_MI", "Q_NCIE", "Q_G", "Q_P", "Q_CB", "Q_W", "restored1", "restored2")


def validation(scores: Path) -> dict[str, Any]:
    """Mean scores by preset, from a bench's document; what is undefined is left out."""
    document = json.loads(scores.read_text())
    if "presets" not in document:
        means = {name: round(value, 4) for name, value in document["recofuse"].items()}
        means.pop("seconds")
        return {"impaired": means}
    presets = document["presets"]
    found = {}
    for name, result in presets.items():
        means = {column: result["mean"].get(column) for column in COLUMNS}
        found[name] = {column: round(mean, 4) for column, mean in means.items() if mean is not None}
    return found


def entry(options: argparse.Namespace, file: Path) -> dict[str, Any]:
    """The manifest's line for a weight file that lies in weights/ already."""
    metadata = describe(str(file))
    loaded = load_weights(str(file), options.task, metadata["method"])
    return {
        "name": options.name,
        "file": file.name,
        "sha256": loaded.sha256,
        "task": loaded.task,
        "method": loaded.method,
        "default": not options.extra,
        "architecture": loaded.architecture,
        "parameters": sum(tensor.numel() for tensor in loaded.tensors.values()),
        "licence": options.licence,
        "training": {
            "data": options.data,
            "command": options.command,
            "notes": options.notes,
            **metadata.get("training", {}),
        },
        "validation": validation(options.scores) if options.scores else {},
    }


def blend(late: Path, early: Path, share: float, target: Path) -> None:
    """Write the average of two stages of one run, ``share`` of it the earlier."""
    one, other = load_file(late), load_file(early)
    mean = {
        name: one[name].float().lerp(other[name].float(), share).to(one[name].dtype) for name in one
    }
    with safe_open(late, "pt") as file:
        save_file(mean, target, metadata=file.metadata())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--task", default="ivif")
    parser.add_argument("--data", required=True, nargs="+", help="what it was trained on")
    parser.add_argument("--licence", required=True)
    parser.add_argument("--command", required=True, help="the training command, without paths")
    parser.add_argument("--notes", default="", help="what the command does not say")
    parser.add_argument("--extra", action="store_true", help="not the default of its task")
    parser.add_argument("--scores", type=Path)
    parser.add_argument("--blend", nargs=2, metavar=("EARLIER", "SHARE"))
    options = parser.parse_args()
    target = WEIGHTS / f"{options.name}.safetensors"
    if options.blend:
        blend(options.file, Path(options.blend[0]), float(options.blend[1]), target)
    elif options.file.resolve() != target:
        shutil.copyfile(options.file, target)
    manifest = WEIGHTS / "manifest.json"
    rows = json.loads(manifest.read_text())["weights"] if manifest.is_file() else []
    rows = [row for row in rows if row["name"] != options.name] + [entry(options, target)]
    rows.sort(key=lambda row: str(row["name"]))
    manifest.write_text(json.dumps({"schema": SCHEMA, "weights": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
