"""The direction of imports, who may decode and print, and a start-up without torch."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
PACKAGE = "drfuse_cli"
SOURCES = sorted((REPO / PACKAGE).rglob("*.py"))

# What a part of the package may import from the rest of it, itself apart. Parts that are not
# listed stand above these and may import anything but the command line.
BELOW = {
    "errors": set[str](),
    "config": {"errors"},
    "pairs": {"config", "errors"},
    "operators": {"config", "errors"},
    "rig": {"errors"},
    "profiles": {"config", "degradations", "errors", "pairs", "rig"},
    "networks": {"config", "errors"},
    "imageio": {"config", "errors"},
    "videoio": {"errors", "imageio"},
    "colour": {"config", "errors", "imageio"},
    "metrics": {"errors"},
    "samplers": {"config", "errors", "networks", "operators"},
    "medical": {
        *("__version__", "colour", "config", "degradations", "errors", "imageio", "scenes"),
    },
    "registration": {"colour", "config", "errors", "imageio", "operators", "rig"},
    "sources": {"config", "degradations", "errors", "imageio", "registration", "rig"},
    "batch": {
        *("__version__", "config", "engine", "errors", "imageio", "pairs", "psf", "report"),
        "sources",
    },
    "evaluation": {
        *("colour", "config", "degradations", "errors", "imageio", "metrics", "operators"),
        *("pairs", "restore", "scenes"),
    },
}
EXCEPTIONS = {
    # Degrades and measures images rather than tensors: needs the Image type.
    ("operators.simulate", "imageio"),
    ("operators.estimate", "imageio"),
    # `python -m drfuse_cli` is the command line.
    ("__main__", "cli"),
}
HEAVY = {
    "av", "cv2", "huggingface_hub", "matplotlib", "nibabel", "numpy", "PIL", "pydicom", "ray",
    "safetensors", "scipy", "torch",
}  # fmt: skip
LIGHT = ("cli", "config", "errors", "pairs", "profiles", "rig")
DECODERS = re.compile(r"cv2\.im(read|decode|count)\w*|PIL\.Image\.open|PIL\.ImageFile\..*")
PATH_CALLS = re.compile(r"cv2\.im(read|write)\w*")
PRINTERS = re.compile(r"(builtins\.)?print|sys\.std(out|err)\.\w+|warnings\.showwarning")


def dotted(path: Path) -> str:
    """The module's name inside the package: ``cli.app``, ``operators`` for its __init__."""
    parts = path.relative_to(REPO / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def part(module: str) -> str:
    return module.split(".")[0]


def _is_typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree: ast.AST, module_level: bool = False) -> Iterator[tuple[str, str]]:
    """Every (bound name, absolute dotted target) that runs; typing-only imports do not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or part(alias.name), alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        elif _is_typing_only(node):
            assert isinstance(node, ast.If)
            yield from imports(ast.Module(node.orelse, []), module_level)
        elif not (module_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            yield from imports(node, module_level)


def calls(tree: ast.AST) -> Iterator[str]:
    """The absolute dotted name of every call, through whatever alias it was imported."""
    bound = {
        name: name if target.startswith(f"{name}.") else target
        for name, target in imports(tree)
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            head, _, rest = ast.unparse(node.func).partition(".")
            yield ".".join(filter(None, (bound.get(head, head), rest)))


def upward_imports(module: str, tree: ast.AST) -> list[str]:
    here = part(module)
    wrong = []
    for _, target in imports(tree):
        if not target.startswith(f"{PACKAGE}."):
            continue
        there = target.split(".")[1]
        allowed = there in BELOW[here] if here in BELOW else there != "cli"
        if there != here and not allowed and (module, there) not in EXCEPTIONS:
            wrong.append(target)
    return wrong


def stray_decoders(module: str, tree: ast.AST) -> list[str]:
    return [
        name
        for name in calls(tree)
        if PATH_CALLS.fullmatch(name) or (module != "imageio.read" and DECODERS.fullmatch(name))
    ]


def stray_prints(module: str, tree: ast.AST) -> list[str]:
    if part(module) == "cli":
        return []
    console = [target for _, target in imports(tree) if part(target) in {"rich", "typer", "click"}]
    return console + [name for name in calls(tree) if PRINTERS.fullmatch(name)]


def heavy_imports(module: str, tree: ast.AST) -> list[str]:
    if part(module) not in LIGHT:
        return []
    return [target for _, target in imports(tree, module_level=True) if part(target) in HEAVY]


RULES = [upward_imports, stray_decoders, stray_prints, heavy_imports]
Rule = Callable[[str, ast.AST], list[str]]


@pytest.mark.parametrize("rule", RULES)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    assert len(SOURCES) > 20
    broken = {
        dotted(path): found
        for path in SOURCES
        if (found := rule(dotted(path), ast.parse(path.read_bytes())))
    }
    assert broken == {}


def test_every_listed_part_exists() -> None:
    parts = {part(dotted(path)) for path in SOURCES}
    assert {*BELOW, "cli"} <= parts


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        (upward_imports, "errors", "from drfuse_cli.config import Pair"),
        (upward_imports, "operators.blur", "from drfuse_cli.samplers import ddim"),
        (upward_imports, "operators.blur", "from drfuse_cli import imageio"),
        (upward_imports, "networks.net", "import drfuse_cli.engine"),
        (upward_imports, "samplers.ddim", "def f():\n from drfuse_cli import weights"),
        (upward_imports, "engine", "from drfuse_cli.cli.console import say"),
        (upward_imports, "training.loop", "import drfuse_cli.cli as c"),
        (stray_decoders, "engine", "import cv2\ncv2.imdecode(x, 1)"),
        (stray_decoders, "imageio.encode", "import cv2\ncv2.imdecode(x, 1)"),
        (stray_decoders, "engine", "import cv2 as c\ndef f():\n return c.imdecode(x, 1)"),
        (stray_decoders, "cli.fuse", "from PIL import Image as I\nI.open(x)"),
        (stray_decoders, "cli.fuse", "import PIL.Image\nPIL.Image.open(x)"),
        (stray_decoders, "cli.fuse", "from PIL.Image import open as o\no(x)"),
        (stray_decoders, "imageio.read", "import cv2\ncv2.imread('x.png')"),
        (stray_prints, "engine", "print(1)"),
        (stray_prints, "engine", "import sys\nsys.stderr.write('x')"),
        (stray_prints, "training.loop", "def f():\n from rich.progress import Progress"),
        (heavy_imports, "cli.fuse", "import torch"),
        (heavy_imports, "cli.fuse", "import torch.nn as nn"),
        (heavy_imports, "pairs", "try:\n from cv2 import blur\nexcept ImportError:\n pass"),
        (heavy_imports, "config", "class A:\n import numpy as np"),
    ],
)
def test_the_rule_rejects(rule: Rule, module: str, source: str) -> None:
    assert rule(module, ast.parse(source))


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        (upward_imports, "cli.fuse", "from drfuse_cli.engine import Engine"),
        (upward_imports, "operators.simulate", "from drfuse_cli.imageio import Image"),
        (upward_imports, "samplers.ddim", "from drfuse_cli.samplers.schedule import alphas"),
        (stray_decoders, "imageio.read", "import cv2\ncv2.imdecode(x, 1)"),
        (stray_decoders, "cli.fuse", "from drfuse_cli.imageio import Image\nImage.open(x)"),
        (stray_prints, "cli.console", "import rich\nprint(1)"),
        (heavy_imports, "cli.fuse", "def f():\n import torch"),
        (heavy_imports, "config", "if TYPE_CHECKING:\n import numpy"),
        (heavy_imports, "engine", "import torch"),
    ],
)
def test_the_rule_accepts(rule: Rule, module: str, source: str) -> None:
    assert rule(module, ast.parse(source)) == []


START = f"""
import sys
from drfuse_cli.cli.app import main
sys.argv[0] = "drfuse"
code = 0
try:
    main()
except SystemExit as stop:
    code = stop.code
loaded = sorted({HEAVY!r} & set(sys.modules))
sys.stdout.flush()
sys.exit(f"loaded {{loaded}}" if loaded else code)
"""


@pytest.mark.parametrize(
    ("arguments", "environment", "shown"),
    [
        (["--help"], {}, "fuse"),
        (["fuse", "--help"], {}, "--degrade"),
        (["--version"], {}, "drfuse"),
        ([], {"_DRFUSE_COMPLETE": "complete_bash", "COMP_WORDS": "drfuse deg", "COMP_CWORD": "1"},
         "degrade"),
    ],
    ids=["help", "fuse-help", "version", "completion"],
)  # fmt: skip
def test_start_up_imports_nothing_heavy(
    arguments: list[str], environment: dict[str, str], shown: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START, *arguments],
        cwd=REPO,
        env={**os.environ, "NO_COLOR": "1", "TERMINAL_WIDTH": "120", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


# Put together here so that this file passes its own test.
MACHINE = ["/" + "work/", "/" + "root/", "/" + "tmp/bash", "/" + "opt/wheels", "/" + "opt/pypi"]
MACHINE_PATH = re.compile(rb"(?<![\w.*-])(" + "|".join(map(re.escape, MACHINE)).encode() + rb")")


def test_no_file_names_a_path_of_one_machine() -> None:
    if not (REPO / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    paths = [REPO / os.fsdecode(name) for name in listed if name]
    texts = {path: path.read_bytes() for path in paths if path.is_file()}
    assert Path(__file__).resolve() in texts
    found = {
        f"{path.relative_to(REPO)}: {match[0].decode()}"
        for path, text in texts.items()
        if b"\0" not in text and (match := MACHINE_PATH.search(text))
    }
    assert found == set()


def test_machine_paths_are_recognised() -> None:
    for path in MACHINE:
        assert MACHINE_PATH.search(f'open("{path}x")'.encode())
    assert not MACHINE_PATH.search(b"frame/" + MACHINE[0][1:].encode() + b" ./work/x")
