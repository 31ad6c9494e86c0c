"""Weights by name, path and hub address; every kind of wrong file is refused."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import safetensors.torch
import torch

from drfuse_cli import models, weights, weights_file
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.weights import load_weights, save_weights

find_folder, build_drfusion = weights.weights_folder, models.build_network
ARCHITECTURE = {"kind": "tiny", "width": 4}


class Tiny(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.trust = torch.nn.Parameter(torch.ones(()))
        self.conv = torch.nn.Conv2d(1, width, 3)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.drop(self.trust * self.conv(x))
        return y


def build_tiny(architecture: dict[str, Any]) -> torch.nn.Module:
    if architecture["kind"] != "tiny":
        raise DrfuseError(f"no network is called {architecture['kind']!r}")
    return Tiny(architecture["width"])


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drfuse_cli.models.build_network", build_tiny)


@pytest.fixture(autouse=True)
def nothing_bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "weights_folder", lambda: None)


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    return Tiny(4).state_dict()


@pytest.fixture
def good(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path = tmp_path / "good.safetensors"
    save_weights(path, tensors, ARCHITECTURE, "ivif")
    return path


def refused(spec: str | Path | None, *parts: str, task: str = "ivif") -> DrfuseError:
    """Load what must be refused with exit code 3, and find ``parts`` in the message."""
    with pytest.raises(DrfuseError) as caught:
        load_weights(None if spec is None else str(spec), task)
    assert caught.value.code == ExitCode.WEIGHTS
    for part in parts:
        assert part in str(caught.value)
    return caught.value


def raw_file(path: Path, header: Any, data: bytes = b"") -> Path:
    """A file with any header at all, as bytes or as what JSON can hold."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def split_file(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


# ---- round trip -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["fp16", "bf16", "fp32"])
def test_what_is_saved_is_loaded(
    tmp_path: Path, tensors: dict[str, torch.Tensor], dtype: Any
) -> None:
    path = tmp_path / "net.safetensors"
    digest = save_weights(path, tensors, ARCHITECTURE, "medical", extra={"steps": 3}, dtype=dtype)
    loaded = load_weights(str(path), "medical")
    kind = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}[dtype]
    assert loaded.sha256 == digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (loaded.name, loaded.path, loaded.warnings) == (str(path), path, ())
    assert (loaded.task, loaded.method, loaded.architecture) == (
        "medical",
        "drfusion",
        ARCHITECTURE,
    )
    assert loaded.tensors.keys() == tensors.keys()
    for name, tensor in loaded.tensors.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, tensors[name].to(kind).float())


def test_network_is_new_complete_and_in_evaluation_mode(good: Path) -> None:
    loaded = load_weights(str(good), "ivif")
    network = loaded.network()
    x = torch.rand(1, 1, 8, 8)
    kernel, bias = loaded.tensors["conv.weight"], loaded.tensors["conv.bias"]
    assert torch.allclose(network(x), torch.nn.functional.conv2d(x, kernel, bias))
    with torch.no_grad():
        network.get_parameter("trust").fill_(5.0)
    assert loaded.tensors["trust"] == 1.0
    assert loaded.network().get_parameter("trust") == 1.0


def test_bytes_depend_on_the_arguments_alone(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    backwards = dict(reversed(tensors.items()))
    extra = {f"key{i}": i for i in range(12)}
    contents = set()
    for i, (given, more) in enumerate(
        [(tensors, extra), (backwards, dict(reversed(extra.items())))]
    ):
        path = tmp_path / f"{i}.safetensors"
        save_weights(path, given, ARCHITECTURE, "ivif", extra=more)
        contents.add(path.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), "fp32"), (1e6, "fp16")])
def test_a_save_that_is_not_finite_keeps_the_old_file(
    good: Path, tensors: dict[str, torch.Tensor], value: float, dtype: Any
) -> None:
    before = good.read_bytes()
    with pytest.raises(DrfuseError, match=r"not finite in 'trust'"):
        save_weights(
            good, tensors | {"trust": torch.tensor(value)}, ARCHITECTURE, "ivif", dtype=dtype
        )
    assert good.read_bytes() == before
    assert [file.name for file in good.parent.iterdir()] == [good.name]


def test_save_refuses_another_suffix(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(DrfuseError, match=r"\.pt files are pickles"):
        save_weights(tmp_path / "net.pt", tensors, ARCHITECTURE, "ivif")


def test_another_task_warns_and_another_method_is_refused(
    tmp_path: Path, good: Path, tensors: dict[str, torch.Tensor]
) -> None:
    (warning,) = load_weights(str(good), "medical").warnings
    assert "trained for ivif" in warning
    assert "medical" in warning
    path = tmp_path / "other.safetensors"
    save_weights(path, tensors, ARCHITECTURE, "ivif", method="recofuse")
    refused(path, "'recofuse', not 'drfusion'", str(path))
    assert load_weights(str(path), "ivif", "recofuse").method == "recofuse"


def test_the_network_of_this_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "build_network", build_drfusion)
    architecture = {"kind": "drfusion", "widths": [8, 12, 16], "depths": [1, 1, 1]}
    path = tmp_path / "net.safetensors"
    saved = build_drfusion(architecture).state_dict()
    save_weights(path, saved, architecture, "ivif", dtype="fp32")
    found = load_weights(str(path), "ivif").network().state_dict()
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], saved[name]) for name in saved)
    save_weights(path, saved, {**architecture, "widths": [16, 24, 32]}, "ivif")
    refused(path, "of another shape")
    save_weights(path, saved, {**architecture, "depths": [10**9] * 3}, "ivif")
    refused(path, "impossible sizes")


# ---- what is not a weights file ---------------------------------------------------------------


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".pkl", ".PT"])
def test_pickles_are_refused_by_name_unread(tmp_path: Path, suffix: str) -> None:
    refused(tmp_path / f"absent{suffix}", "can run code", ".safetensors")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_disguised_pickle_is_not_opened(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "net.safetensors"
    path.write_bytes(pickle.dumps(Bomb(marker), protocol))
    refused(path, str(path), "a Python pickle")
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists(), "the bomb must be able to go off"


@pytest.mark.parametrize(("zipped", "kind"), [(True, "zip archive"), (False, "Python pickle")])
def test_a_disguised_torch_file(
    tmp_path: Path, tensors: dict[str, torch.Tensor], zipped: bool, kind: str
) -> None:
    path = tmp_path / "net.safetensors"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    refused(path, kind)


def test_a_header_that_begins_like_a_pickle_is_none(tmp_path: Path, good: Path) -> None:
    header, data = split_file(good)
    text = json.dumps(header).encode().ljust(0x0480)
    path = raw_file(tmp_path / "padded.safetensors", text, data)
    assert path.read_bytes().startswith(b"\x80\x04")
    assert load_weights(str(path), "ivif").tensors["trust"] == 1.0


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "empty"),
        (b"\x10\0\0", "truncated: 3 bytes"),
        (struct.pack("<Q", 100) + b"{}", "truncated: the header has 100 bytes, only 2"),
        (struct.pack("<Q", 1 << 62) + b"{" * 64, "absurdly long"),
        (struct.pack("<Q", 8) + b"notjson!", "not JSON"),
        (struct.pack("<Q", 8) + b"{\xff\xfe\xfd   }", "not JSON"),
        (struct.pack("<Q", 60000) + b'{"a":' * 12000, "not JSON"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    ],
)
def test_other_content(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    refused(path, str(path), part)


def test_folders_pipes_and_other_suffixes(tmp_path: Path) -> None:
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    refused(folder, "a folder")
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    refused(pipe, "not a regular file")
    refused(tmp_path / "net.onnx", "not a .safetensors file")


def test_missing_files_suggest_near_names(good: Path) -> None:
    error = refused(good.with_name("goood.safetensors"), "no such file")
    assert error.hint == f"Did you mean {good}?"
    refused(good.parent / "no" / "such" / "folder.safetensors", "no such file")
    refused("x" * 5000 + ".safetensors", "no such file")
    refused("~nobody-of-this-name/net.safetensors", "no such file")


def test_every_truncation_is_refused(tmp_path: Path, good: Path) -> None:
    content = good.read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refused(path)
    path.write_bytes(content + b"\0")
    refused(path, "1 bytes too many")


def test_flipped_bits_never_escape_as_another_exception(tmp_path: Path, good: Path) -> None:
    content, chance, codes = good.read_bytes(), random.Random(3), []
    path = tmp_path / "flipped.safetensors"
    for _ in range(400):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            load_weights(str(path), "ivif")
        except DrfuseError as error:
            codes.append(error.code)
    assert len(codes) > 100
    assert set(codes) == {ExitCode.WEIGHTS}


# ---- what the header says ---------------------------------------------------------------------


def with_metadata(good: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    header, data = split_file(good)
    metadata = json.loads(header["__metadata__"]["drfuse"])
    change(metadata)
    header["__metadata__"]["drfuse"] = json.dumps(metadata)
    return raw_file(good.with_name("changed.safetensors"), header, data)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda m: m.update(schema="drfuse.weights/2"), "'drfuse.weights/2' is not"),
        (lambda m: m.pop("task"), "no task"),
        (lambda m: m.update(method=3), "no method"),
        (lambda m: m.pop("architecture"), "no architecture"),
        (lambda m: m.update(architecture={"kind": "huge"}), "no network is called 'huge'"),
        (lambda m: m.update(architecture={}), "cannot be built"),
        (lambda m: m["architecture"].update(width=-1), "cannot be built"),
        # Hundreds of terabytes: refused by its shape, never allocated.
        (lambda m: m["architecture"].update(width=10**13), "of another shape"),
    ],
)
def test_metadata_that_does_not_fit(
    good: Path, change: Callable[[dict[str, Any]], object], part: str
) -> None:
    path = with_metadata(good, change)
    refused(path, str(path), part)


@pytest.mark.parametrize("named", [{}, {"format": "pt"}, {"drfuse": "[]"}, {"drfuse": 3}, "text"])
def test_files_of_other_programs(good: Path, named: Any) -> None:
    header, data = split_file(good)
    refused(raw_file(good, header | {"__metadata__": named}, data), str(good))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shape", None),
        ("shape", [1e999]),
        ("shape", "1"),
        ("data_offsets", []),
        ("data_offsets", [0, 4]),
        ("data_offsets", [2, 0]),
        ("dtype", "F64"),
        ("dtype", "I32"),
        ("dtype", "F9"),
    ],
)
def test_a_damaged_tensor_entry(good: Path, key: str, value: Any) -> None:
    header, data = split_file(good)
    header["conv.bias"][key] = value
    refused(raw_file(good, header, data), str(good))


@pytest.mark.parametrize("kind", [torch.float64, torch.int16, torch.bool])
def test_sound_files_of_other_types(
    good: Path, tensors: dict[str, torch.Tensor], kind: torch.dtype
) -> None:
    named = split_file(good)[0]["__metadata__"]
    stored = tensors | {"trust": tensors["trust"].to(kind)}
    safetensors.torch.save_file(stored, good, metadata=named)
    refused(good, "only F16, BF16, F32 are read")


def test_keys_and_shapes_must_be_exact(good: Path, tensors: dict[str, torch.Tensor]) -> None:
    def saved(change: dict[str, torch.Tensor], *dropped: str) -> Path:
        kept = {name: value for name, value in (tensors | change).items() if name not in dropped}
        save_weights(good, kept, ARCHITECTURE, "ivif")
        return good

    refused(saved({}, "conv.bias"), "1 missing: 'conv.bias'")
    many = {f"extra{i}": torch.ones(1) for i in range(9)}
    refused(saved(many), "9 unexpected: 'extra0', 'extra1', 'extra2' and 6 more")
    refused(saved({"trust": torch.ones(1)}), "1 of another shape: 'trust (1,), expected ()'")
    refused(saved({"\x1b[2J": torch.ones(1)}), r"'\x1b[2J'")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_stored_values_must_be_finite(good: Path, value: float) -> None:
    header, data = split_file(good)
    start, end = header["trust"]["data_offsets"]
    data = data[:start] + np.float16(value).tobytes() + data[end:]
    refused(raw_file(good, header, data), "not finite in 'trust'")


# ---- bundled ----------------------------------------------------------------------------------


@pytest.fixture
def bundle(
    tmp_path: Path, tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder of bundled weights: two for ivif, one for medical, none for multifocus."""
    folder = tmp_path / "weights"
    folder.mkdir()
    rows = []
    for name, task, default in (
        ("ivif-small", "ivif", False),
        ("ivif-base", "ivif", True),
        ("medical-base", "medical", True),
    ):
        digest = save_weights(folder / f"{name}.safetensors", tensors, ARCHITECTURE, task)
        row: dict[str, Any] = {
            "name": name,
            "file": f"{name}.safetensors",
            "sha256": digest,
            "task": task,
        }
        row |= {"method": "drfusion", "default": default, "architecture": ARCHITECTURE}
        rows.append(row | {"parameters": 41, "licence": "MIT", "training": {"steps": 5}})
    write_manifest(folder, rows)
    monkeypatch.setattr(weights, "weights_folder", lambda: folder)
    return folder


def write_manifest(folder: Path, rows: list[dict[str, Any]]) -> None:
    document = {"schema": "drfuse.weights/1", "weights": rows}
    (folder / "manifest.json").write_text(json.dumps(document))


def change_manifest(folder: Path, index: int, **changes: Any) -> None:
    rows = json.loads((folder / "manifest.json").read_text())["weights"]
    rows[index] |= changes
    write_manifest(folder, rows)


@pytest.mark.usefixtures("bundle")
def test_default_and_name() -> None:
    assert load_weights(None, "ivif").name == "ivif-base"
    assert load_weights(None, "medical").name == "medical-base"
    assert load_weights("ivif-small", "ivif").name == "ivif-small"
    assert [entry.name for entry in weights.list_weights() if entry.default] == [
        "ivif-base",
        "medical-base",
    ]
    refused(None, "'multifocus'", "ivif-small, ivif-base", task="multifocus")
    refused("ivif-bsae", "no bundled weights", "Did you mean ivif-base")
    refused("zzz", "Bundled: ivif-small, ivif-base, medical-base")


def test_nothing_bundled_says_what_to_pass() -> None:
    assert weights.list_weights() == ()
    refused(None, "--weights FILE.safetensors")


def test_bundled_digest_must_match(bundle: Path, tensors: dict[str, torch.Tensor]) -> None:
    other = tensors | {"trust": torch.tensor(0.5)}
    save_weights(bundle / "ivif-base.safetensors", other, ARCHITECTURE, "ivif")
    refused(None, "ivif-base.safetensors", "sha256", "reinstall")
    # The same file by its path promises nothing, and is sound.
    assert load_weights(str(bundle / "ivif-base.safetensors"), "ivif").tensors["trust"] == 0.5
    (bundle / "ivif-base.safetensors").unlink()
    refused("ivif-base", "missing", "reinstall")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": "x"}', '{"schema": "drfuse.weights/1", "weights": [{}]}']
)
def test_a_damaged_manifest(bundle: Path, text: str) -> None:
    (bundle / "manifest.json").write_text(text)
    refused(None, "manifest.json")


def test_the_manifest_stays_in_its_folder(bundle: Path, good: Path) -> None:
    change_manifest(bundle, 0, file=f"../{good.name}")
    refused("ivif-small", "not a plain file name")


def test_verify_compares_with_the_manifest(bundle: Path) -> None:
    assert weights.verify("ivif-small").name == "ivif-small"
    for changes in ({"parameters": 40}, {"task": "medical"}, {"architecture": {"kind": "x"}}):
        before = (bundle / "manifest.json").read_text()
        change_manifest(bundle, 0, **changes)
        with pytest.raises(DrfuseError, match=f"{next(iter(changes))} is .* manifest says"):
            weights.verify("ivif-small")
        (bundle / "manifest.json").write_text(before)


def test_describe(bundle: Path, tensors: dict[str, torch.Tensor]) -> None:
    document = weights.describe("ivif-base")
    assert document["bundled"] is True
    assert document["licence"] == "MIT"
    assert document["training"] == {"steps": 5}
    assert document["parameters"] == 41 == sum(tensor.numel() for tensor in tensors.values())
    path = bundle / "own.safetensors"
    digest = save_weights(path, tensors, ARCHITECTURE, "ivif", extra={"sha256": "0", "note": "n"})
    own = weights.describe(str(path))
    assert (own["sha256"], own["note"], own["bundled"]) == (digest, "n", False)
    assert own["dtypes"] == ["F16"]
    json.dumps(own)


def test_the_folder_in_a_checkout_and_in_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "weights_folder", find_folder)
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "drfuse_cli" / "weights.py"))
    beside, inside = tmp_path / "weights", tmp_path / "drfuse_cli" / "_weights"
    for folder in (beside, inside):
        folder.mkdir(parents=True)
    assert weights.weights_folder() is None
    (beside / "manifest.json").touch()
    assert weights.weights_folder() == beside
    (inside / "manifest.json").touch()
    assert weights.weights_folder() == inside


# ---- the hub ----------------------------------------------------------------------------------

COMMITS = {"main": "a" * 40, "v1": "b" * 40, "refs/pr/1": "c" * 40}


class Hub(ThreadingHTTPServer):
    """A hub with one open repository ``o/r``, a private one ``o/p`` and a gated one ``o/g``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files: dict[tuple[str, str], bytes] = {}
        self.asked: list[str] = []
        self.body: Callable[[bytes], bytes] = lambda content: content
        self.claimed_size: int | None = None
        self.broken = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        if self.path.startswith("/api/"):
            return self.reply(404)
        self.server.asked.append(f"{self.command} {self.path}")
        owner, repo, _, revision, file = self.path[1:].split("/", 4)
        revision = unquote(revision)
        commit = COMMITS.get(revision, revision if revision in COMMITS.values() else None)
        content = self.server.files.get((commit or "", unquote(file)))
        signed_in = self.headers.get("Authorization") == "Bearer right"
        if self.server.broken:
            return self.reply(503)
        if self.headers.get("Authorization") not in (None, "Bearer right"):
            return self.reply(
                401, {"X-Error-Message": "Invalid credentials in Authorization header"}
            )
        if f"{owner}/{repo}" == "o/g":
            return self.reply(403, {"X-Error-Code": "GatedRepo"})
        if f"{owner}/{repo}" != "o/r" and not (f"{owner}/{repo}" == "o/p" and signed_in):
            return self.reply(401, {"X-Error-Code": "RepoNotFound"})
        if commit is None:
            return self.reply(404, {"X-Error-Code": "RevisionNotFound"})
        if content is None:
            return self.reply(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        etag = hashlib.sha256(content).hexdigest()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "X-Linked-Etag": f'"{etag}"'}
        headers["X-Linked-Size"] = str(self.server.claimed_size or len(content))
        return self.reply(200, headers, self.server.body(content), with_body)

    def reply(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        with_body: bool = False,
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


@pytest.fixture
def server(good: Path) -> Iterator[Hub]:
    with Hub() as hub:
        hub.files[COMMITS["main"], "nets/good.safetensors"] = good.read_bytes()
        threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
        yield hub
        hub.shutdown()


def point_at(url: str, monkeypatch: pytest.MonkeyPatch, offline: bool = False) -> None:
    """What a new process would read from its environment; the client reads it once."""
    from huggingface_hub import constants

    home = os.environ["HF_HOME"]
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", f"{home}/hub")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", f"{home}/token")
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", f"{home}/.agent_harnesses.json")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)


@pytest.fixture
def hub(server: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    point_at(server.url, monkeypatch)
    return server


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


SPEC = "hf://o/r/nets/good.safetensors"


def test_download_then_cache(hub: Hub, good: Path) -> None:
    loaded = load_weights(SPEC, "ivif")
    assert loaded.name == SPEC
    assert loaded.sha256 == hashlib.sha256(good.read_bytes()).hexdigest()
    assert loaded.path.is_relative_to(os.environ["HF_HOME"])
    assert any(line.startswith("GET /o/r/resolve/main/nets/good") for line in hub.asked)
    hub.asked.clear()
    assert load_weights(SPEC, "ivif").sha256 == loaded.sha256
    assert hub.asked == []


@pytest.mark.parametrize("revision", ["v1", "b" * 40, "refs%2Fpr%2F1"])
def test_pinned_revision(
    hub: Hub, good: Path, tensors: dict[str, torch.Tensor], revision: str
) -> None:
    for i, name in enumerate(("v1", "refs/pr/1")):
        other = good.with_name(f"{i}.safetensors")
        save_weights(other, tensors | {"trust": torch.tensor(0.25)}, ARCHITECTURE, "ivif")
        hub.files[COMMITS[name], "nets/good.safetensors"] = other.read_bytes()
    pinned = load_weights(f"hf://o/r@{revision}/nets/good.safetensors", "ivif")
    assert pinned.tensors["trust"] == 0.25
    assert load_weights(SPEC, "ivif").tensors["trust"] == 1.0


def test_offline_with_and_without_the_file_in_the_cache(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = load_weights(SPEC, "ivif").sha256
    hub.asked.clear()
    point_at(hub.url, monkeypatch, offline=True)
    assert load_weights(SPEC, "ivif").sha256 == digest
    refused("hf://o/r/nets/other.safetensors", "offline mode is on", "Unset HF_HUB_OFFLINE")
    assert hub.asked == []


def test_without_network_it_fails_at_once_and_the_cache_still_serves(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_weights(SPEC, "ivif")
    url = f"http://127.0.0.1:{closed_port()}"
    point_at(url, monkeypatch)
    start = time.monotonic()
    refused("hf://o/r/nets/other.safetensors", f"{url} cannot be reached", "--weights")
    assert load_weights(SPEC, "ivif").name == SPEC
    assert time.monotonic() - start < 4, "the client's own retries take 24 s"


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("hf://o/absent/nets/good.safetensors", ("no repository o/absent", "HF_TOKEN")),
        ("hf://o/p/nets/good.safetensors", ("or it is private (HTTP 401)", "HF_TOKEN")),
        ("hf://o/g/nets/good.safetensors", ("is gated", "terms")),
        ("hf://o/r@v9/nets/good.safetensors", ("no revision 'v9'", "commit hash")),
        ("hf://o/r/nets/absent.safetensors", ("at main has no file", "nets/absent")),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_the_hub_refuses(spec: str, parts: tuple[str, ...]) -> None:
    refused(spec, spec, *parts)


def test_token(hub: Hub, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "wrong")
    error = refused("hf://o/p/nets/good.safetensors", "refused access to o/p (HTTP 401)")
    assert "wrong" not in str(error)
    monkeypatch.setenv("HF_TOKEN", "right")
    loaded = load_weights("hf://o/p/nets/good.safetensors", "ivif")
    assert loaded.path.read_bytes() == good.read_bytes()


def test_a_hub_in_trouble(hub: Hub) -> None:
    hub.broken = True
    start = time.monotonic()
    refused(SPEC, "HTTP 503")
    assert time.monotonic() - start < 4


@pytest.mark.parametrize(
    "spec",
    [
        "hf://",
        "hf://o/r",
        "hf://o/r@/x.safetensors",
        "hf://o/r/../../x.safetensors",
        "hf://o/r@..%2F..%2Fx/x.safetensors",
        "hf://o/a--b/x.safetensors",
        "hf://o/r/model.bin",
        "hf://o/r/model.onnx",
        "https://example.org/x.safetensors",
    ],
)
def test_wrong_addresses_ask_nothing(hub: Hub, spec: str) -> None:
    refused(spec, spec)
    assert hub.asked == []


def test_a_file_far_too_large_is_not_downloaded(hub: Hub) -> None:
    hub.claimed_size = 5 << 30
    refused(SPEC, "5.4 GB")
    assert not [line for line in hub.asked if line.startswith("GET")]


def test_damaged_content_is_found_and_pull_mends_it(hub: Hub) -> None:
    hub.body = lambda content: content[:-1] + bytes([content[-1] ^ 1])
    refused(SPEC, "sha256", f"drfuse weights pull {SPEC}")
    refused(SPEC, "sha256")
    with pytest.raises(DrfuseError, match="sha256"):
        weights.pull(SPEC)
    hub.body = lambda content: content
    assert weights.pull(SPEC).name == SPEC
    assert load_weights(SPEC, "ivif").tensors["trust"] == 1.0


def test_a_download_cut_short(hub: Hub) -> None:
    hub.body = lambda content: content[:-10]
    refused(SPEC, "the download failed")
    hub.body = lambda content: content
    assert load_weights(SPEC, "ivif").tensors["trust"] == 1.0


def test_pull_asks_again_and_checks_local_files(
    hub: Hub, good: Path, tensors: dict[str, torch.Tensor]
) -> None:
    load_weights(SPEC, "ivif")
    newer = good.with_name("newer.safetensors")
    save_weights(newer, tensors | {"trust": torch.tensor(0.25)}, ARCHITECTURE, "ivif")
    hub.files["d" * 40, "nets/good.safetensors"] = newer.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(COMMITS, "main", "d" * 40)
        assert load_weights(SPEC, "ivif").tensors["trust"] == 1.0
        assert weights.pull(SPEC).tensors["trust"] == 0.25
        assert load_weights(SPEC, "ivif").tensors["trust"] == 0.25
    assert weights.pull(str(good)).path == good


def test_a_new_process_reads_its_environment_and_describes_without_torch(
    server: Hub, good: Path
) -> None:
    code = (
        "import json, sys; from drfuse_cli import weights\n"
        f"document = weights.describe({SPEC!r}); assert 'torch' not in sys.modules\n"
        "print(json.dumps(document))"
    )
    for endpoint, offline in ((server.url, "0"), (f"http://127.0.0.1:{closed_port()}", "1")):
        environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": offline}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=Path(weights_file.__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        document = json.loads(done.stdout)
        assert document["sha256"] == hashlib.sha256(good.read_bytes()).hexdigest()
        assert document["path"].startswith(os.environ["HF_HOME"])
