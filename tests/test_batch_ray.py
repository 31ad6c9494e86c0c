"""`--engine ray`: the tree of a local run, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from batch_support import lines, make_pairs, summary, tree
from cli_support import Cli

from drfuse_cli.batch import cluster
from drfuse_cli.batch.pipeline import Outcome, Stop
from drfuse_cli.batch.plan import Outputs, Plan, gather_pairs, make_plan
from drfuse_cli.batch.recipe import Recipe
from drfuse_cli.batch.run import Existing, find_todo, run_batch
from drfuse_cli.batch.summary import Summary
from drfuse_cli.config import FuseOptions
from drfuse_cli.degradations import Overrides
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.sources import Assumptions
from drfuse_cli.weights import load_weights

NAMES = ("1", "2", "10", "night/1", "night/2", "z\udce9")
FATAL = "10"
HERE = Path(__file__).resolve().parent

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None,
    reason="needs pip install 'drfuse[ray]'",
)


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_weights: Path) -> list[str]:
    """A command, in a folder with pairs in ``set``."""
    monkeypatch.chdir(tmp_path)
    make_pairs(Path("set"), *NAMES)
    return [
        "batch", "set", "-o", "out", "--degrade", "noise", "--weights", str(small_weights),
        "--device", "cpu", "--workers", "1",
    ]  # fmt: skip


@pytest.fixture
def undisturbed(drfuse: Cli, flags: list[str]) -> dict[str, Any]:
    """What a local run leaves; it is moved out of the way."""
    drfuse(*flags)
    os.rename("out", "undisturbed")
    return tree(Path("undisturbed"))


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """What workers take over: a token that is not in the home folder, and this module."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_TOKEN", "0" * 64)
        patched.setenv("PYTHONPATH", os.pathsep.join([str(HERE.parent), str(HERE)]))
        yield


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A Ray on two processors of this machine."""
    import ray

    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
        object_store_memory=80_000_000, logging_level="error",
    )  # fmt: skip
    yield ray
    ray.shutdown()


@needs_ray
def test_out_of_the_box(drfuse: Cli, flags: list[str], undisturbed: dict[str, Any]) -> None:
    import ray

    before = signal.getsignal(signal.SIGTERM)
    drfuse(*flags, "--shard", "2/2")
    done = drfuse(*flags, "--shard", "1/2", "--engine", "ray")
    assert done.text == "out\n"
    assert "3 done, 0 failed, 0 skipped of 3" in done.err
    found = tree(Path("out"))
    assert found.pop("manifest.jsonl") == undisturbed.pop("manifest.jsonl")
    assert found == undisturbed
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is before


# ---- workers that die -------------------------------------------------------------------------


class Deadly(Recipe):
    """Kills the worker once the files of one pair stand there and nobody has heard of them."""

    def done(self, work: Any, *given: Any) -> dict[str, Any]:
        if work.name == FATAL:
            with open("deaths", "a") as stream:
                stream.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().done(work, *given)


class Batch:
    """Runs batches on Ray with the recipe it is given."""

    def __init__(self, weights: Path) -> None:
        loaded = load_weights(str(weights), "ivif")
        self.recipe = Recipe(
            Assumptions("ivif", "noise", Overrides(), register="auto"), FuseOptions(device="cpu"),
            loaded, "cpu", "fp32",
        )  # fmt: skip

    def alike(self, kind: type[Recipe]) -> Recipe:
        return kind(**{one.name: getattr(self.recipe, one.name) for one in fields(Recipe)})

    def plan(self) -> Plan:
        outputs = Outputs(Path("out"))
        return make_plan(gather_pairs(Path("set"), None, "ivif", False, outputs), outputs)

    def __call__(
        self,
        recipe: Recipe,
        *,
        workers: int = 1,
        existing: Existing = "refuse",
        stop: Stop | None = None,
        tell: Callable[[Outcome], None] = lambda outcome: None,
    ) -> Summary:
        plan = self.plan()
        with cluster.connect(None, "cpu", workers, 2) as found:
            return run_batch(
                plan, find_todo(plan, recipe, existing, 1), recipe,
                found.spread(recipe, plan, None), existing=existing, workers=1, batch=None,
                stop=stop or Stop(), tell=tell, started=time.perf_counter(),
            )  # fmt: skip


@pytest.fixture
def batch(flags: list[str], small_weights: Path, ray: Any) -> Batch:
    return Batch(small_weights)


@needs_ray
def test_a_worker_that_dies_takes_no_other_pair_with_it(
    drfuse: Cli, flags: list[str], undisturbed: dict[str, Any], batch: Batch
) -> None:
    told: list[str] = []
    found = batch(
        batch.alike(Deadly), workers=2, tell=lambda outcome: told.append(outcome.work.name)
    )
    assert len(Path("deaths").read_text()) == 2
    assert sorted(told) == sorted(NAMES)
    assert found.done == len(NAMES) - 1
    assert [(one.name, one.error) for one in found.failures] == [
        (FATAL, "every worker that began it died, perhaps for lack of memory")
    ]
    assert summary(Path("out")) == found.document()
    assert [line["name"] for line in lines(Path("out")) if "error" in line] == [FATAL]
    drfuse(*flags, "--resume")
    assert tree(Path("out")) == undisturbed


class Patient(Recipe):
    """Waits, with the second block in hand, until the stop has been heard."""

    def done(self, work: Any, *given: Any) -> dict[str, Any]:
        while work.name == "more/10" and not Path("heard").exists():
            time.sleep(0.01)
        return super().done(work, *given)


@needs_ray
def test_stopped_and_resumed(
    drfuse: Cli, flags: list[str], batch: Batch, ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pairs(Path("set"), *(f"more/{i}" for i in range(74)))
    drfuse(*flags)
    os.rename("out", "undisturbed")
    desks: list[Any] = []
    stopper, stop = cluster._stopper, Stop()

    @contextmanager
    def seen(*given: Any) -> Iterator[Any]:
        with stopper(*given) as desk:
            desks.append(desk)
            yield desk

    def tell(outcome: Outcome) -> None:
        stop.asked = True
        while not ray.get(desks[0].is_stopped.remote()):
            time.sleep(0.01)
        Path("heard").touch()

    monkeypatch.setattr(cluster, "_stopper", seen)
    found = batch(batch.alike(Patient), stop=stop, tell=tell)
    assert 1 <= found.done <= 20  # two blocks
    assert found.document()["failed"] == 0
    assert len(lines(Path("out"))) == found.done
    drfuse(*flags, "--resume")
    assert tree(Path("out")) == tree(Path("undisturbed"))


# ---- what a worker refuses ----------------------------------------------------------------------


def job(**given: Any) -> cluster._Job:
    known: dict[str, Any] = {
        "recipe": None, "options": FuseOptions(), "batch": None, "threads": 1,
        "manifest": Path("out/manifest.jsonl"), "folder": None,
    }  # fmt: skip
    return cluster._Job(**{**known, **given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"version": "0.0.1"}, "this is 0.0.1"),
        ({"folder": "elsewhere"}, "not to be seen from"),
        ({}, "out/manifest.jsonl: not to be seen from"),
    ],
    ids=["version", "folder", "manifest"],
)
def test_a_machine_unlike_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DrfuseError) as caught:
        cluster._Worker(job(**given), None)._settle()
    assert said in str(caught.value)
    assert caught.value.code == ExitCode.ENVIRONMENT


def test_tries_are_counted() -> None:
    desk = cluster._Desk()
    assert [desk.begin(["a", "b"]) for _ in range(3)] == [True, True, False]
    desk.end(["a", "b"])
    assert desk.begin(["b"])
    desk.stop()
    assert desk.is_stopped()
    assert not desk.begin(["c"])


# ---- what is refused before the work ------------------------------------------------------------


def test_without_ray(drfuse: Cli, flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = drfuse(*flags, "--engine", "ray", code=4)
    assert "pip install 'drfuse[ray]'" in done.err
    assert not Path("out").exists()


@needs_ray
@pytest.mark.parametrize(
    ("more", "environment", "said", "code"),
    [
        (("--ray-address", "127.0.0.1:{port}"), {}, "cannot be reached at 127.0.0.1:", 4),
        ((), {"RAY_ADDRESS": "127.0.0.1:{port}"}, "cannot be reached at 127.0.0.1:", 4),
        (("--ray-address", "nonsense:x"), {}, "cannot be reached at nonsense:x", 4),
        (("--device", "cuda:1"), {}, "--device cuda:1 does not go with --engine ray", 2),
    ],
    ids=["flag", "variable", "nonsense", "device"],
)
def test_a_cluster_that_is_not_there(
    drfuse: Cli,
    flags: list[str],
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    environment: dict[str, str],
    said: str,
    code: int,
) -> None:
    import ray

    ray.shutdown()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for name, value in environment.items():
            monkeypatch.setenv(name, value.format(port=port))
        done = drfuse(
            *flags, "--engine", "ray", *(word.format(port=port) for word in more), code=code
        )
    assert said in done.err
    assert not Path("out").exists()
