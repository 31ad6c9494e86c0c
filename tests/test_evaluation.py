"""Cases, folders of fused images, gates, the journal and the run over all of them."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_support import Cli
from evaluation_support import SIZE, blocks, make_data, make_fused, quick_fuse

from drfuse_cli.config import Degradation, preset
from drfuse_cli.degradations import parse_overrides
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.evaluation import pool
from drfuse_cli.evaluation.cases import clean_pairs, make_case, scene_pairs
from drfuse_cli.evaluation.gates import parse_gates
from drfuse_cli.evaluation.journal import Entry, Journal, stamp
from drfuse_cli.evaluation.plan import Request, make_plan
from drfuse_cli.evaluation.results import (
    Evaluation,
    MethodScores,
    PairScores,
    Restoration,
    mean,
)
from drfuse_cli.evaluation.run import evaluate
from drfuse_cli.evaluation.scored import named_folders, pair_up, sources_for
from drfuse_cli.imageio import Image, read_image, write_bytes, write_image
from drfuse_cli.metrics import METRICS, Score, score

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def request(dataset: Path | None, **more: Any) -> Request:
    more.setdefault("metrics", "SSIM,SD")
    return Request("ivif", dataset, **more)


# ---- results ----------------------------------------------------------------------------------


def scored(name: str, *values: float | None) -> MethodScores:
    pairs = (PairScores(str(i), {"N_ABF": Score(v), "Q_SF": Score(v), "Q_G": Score(v)})
             for i, v in enumerate(values))  # fmt: skip
    return MethodScores(name, tuple(pairs))


def test_undefined_values_are_left_out_of_the_mean() -> None:
    method = scored("m", 1.0, None, 3.0)
    assert (method.mean("Q_G"), method.std("Q_G")) == (2.0, 1.0)
    assert scored("m", None).mean("Q_G") is None
    assert scored("m", None).std("Q_G") is None
    assert scored("m").mean("Q_G") is None


def test_ranks_follow_the_direction_of_the_metric() -> None:
    methods = (scored("a", -0.5), scored("b", 0.25), scored("c", 0.25), scored("d", None))
    found = Evaluation("ivif", None, "x", (), methods)
    assert found.ranks(METRICS["Q_G"]) == {"a": 3, "b": 1, "c": 1}
    assert found.ranks(METRICS["N_ABF"]) == {"a": 1, "b": 2, "c": 2}
    assert found.ranks(METRICS["Q_SF"]) == {"a": 3, "b": 1, "c": 1}


def test_the_mean_does_not_depend_on_the_order() -> None:
    values = [0.1, 1e16, -1e16, 0.7]
    assert mean(values) == mean(values[::-1])
    assert mean([]) is None


def test_restorations_leave_equal_images_out() -> None:
    found = Restoration("x", {"a": (None, 30.0), "b": (None, 40.0)})
    assert (found.mean(1), found.mean(2)) == (None, 35.0)


# ---- cases ------------------------------------------------------------------------------------


def test_the_pixels_are_those_of_drfuse_degrade(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for role, seed in (("MRI", 0), ("SPECT", 1)):
        write_image(Path("data") / role / "x.png", blocks(seed, colour=bool(seed)))
    arguments = ["-o", "out", "--task", "medical", "--degrade", "composite", "--clean-out", "cut"]
    Cli(capfdbinary)("degrade", "data", *arguments)
    (pair,) = clean_pairs(Path("data"), "medical")
    case = make_case(pair, preset("medical", "composite"), 2026)
    for role, degraded, clean in zip(("mri", "spect"), case.degraded, case.clean, strict=True):
        np.testing.assert_array_equal(degraded.pixels, read_image(f"out/{role}/x.png").pixels)
        np.testing.assert_array_equal(clean.pixels, read_image(f"cut/{role}/x.png").pixels)


def test_a_case_keeps_the_whole_sources() -> None:
    (pair,) = clean_pairs(make_data(Path("data"), "a"), "ivif")
    case = make_case(pair, preset("ivif", "composite"), 2026)
    assert case.whole[0].pixels.shape == SIZE
    assert case.clean[0].pixels.shape == (32, 40)
    assert case.degraded[0].pixels.shape == (8, 10)


def test_clean_sources_pass_untouched() -> None:
    (pair,) = clean_pairs(make_data(Path("data"), "a"), "ivif")
    case = make_case(pair, (Degradation(), Degradation()), 0)
    assert case.is_clean
    for degraded, clean in zip(case.degraded, case.clean, strict=True):
        np.testing.assert_array_equal(degraded.pixels, clean.pixels)


def test_sources_that_cannot_be_used() -> None:
    data = make_data(Path("data"), "a", "b")
    write_image(data / "vis" / "a.png", blocks(9, (34, 43)))
    write_image(data / "ir" / "b.png", blocks(9, (3, 9)))
    write_image(data / "vis" / "b.png", blocks(9, (3, 9)))
    first, second = clean_pairs(data, "ivif")
    with pytest.raises(DrfuseError, match="42x34 and 43x34"):
        make_case(first, preset("ivif", "noise"), 0)
    with pytest.raises(DrfuseError, match="9x3 pixels are too few to pool 4x4"):
        make_case(second, preset("ivif", "composite"), 0)


def test_scenes_of_the_task() -> None:
    assert {pair.name for pair in scene_pairs("medical")} == {"mri-pet", "mri-spect", "mri-ct"}
    with pytest.raises(DrfuseError, match="no built-in scenes"):
        scene_pairs("multifocus")


# ---- folders of fused images --------------------------------------------------------------------


def test_folders_lend_their_names() -> None:
    make_fused(Path("gff"), "a")
    make_fused(Path("x=y"), "a")
    found = named_folders(["gff", "mine=gff", "x=y"], [])
    assert {name: str(path) for name, path in found.items()} == {
        "gff": "gff", "mine": "gff", "x=y": "x=y",
    }  # fmt: skip
    assert list(named_folders(["."], [])) == [Path.cwd().name]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["gff", "GFF=gff"], "two methods"),
        (["Laplacian=gff"], "two methods"),
        (["../up=gff"], "cannot name"),
        (["..=gff"], "cannot name"),
        (["=gff"], "cannot name"),
        (["missing"], "no such folder"),
        (["gff/a.png"], "not a folder"),
    ],
)
def test_folders_that_are_refused(texts: list[str], message: str) -> None:
    make_fused(Path("gff"), "a")
    with pytest.raises(DrfuseError, match=message):
        named_folders(texts, ["laplacian"])


def test_fused_images_are_matched_by_relative_stem() -> None:
    write_image("out/day/a.tif", blocks(1))
    write_image("out/b.jpg", blocks(1))
    write_bytes("out/b.jpg.json", b"{}")
    write_bytes("out/.hidden.png", b"")
    found, common = pair_up({"m": Path("out")}, ["b", "day/a"])
    assert found == {"m": {"b": Path("out/b.jpg"), "day/a": Path("out/day/a.tif")}}
    assert common == ["b", "day/a"]


def test_missing_and_extra_images_are_listed() -> None:
    make_fused(Path("out"), "a", "c", "d")
    make_fused(Path("other"), "a", "b")
    with pytest.raises(DrfuseError, match="no fused image for b; no clean pair for c, d") as caught:
        pair_up({"m": Path("out")}, ["a", "b"])
    assert "--allow-unpaired" in str(caught.value.hint)
    found, common = pair_up({"m": Path("out"), "n": Path("other")}, ["a", "b"], True)
    assert common == ["a"]
    assert list(found["n"]) == ["a"]
    with pytest.raises(DrfuseError, match="no pair has an image in out"):
        pair_up({"m": Path("out")}, ["x"], True)


def test_an_empty_folder_and_two_of_a_kind() -> None:
    Path("out").mkdir()
    with pytest.raises(DrfuseError, match="holds no fused images"):
        pair_up({"m": Path("out")}, ["a"])
    make_fused(Path("out"), "a")
    write_image("out/a.bmp", blocks(0))
    with pytest.raises(DrfuseError, match=r"two fused images of one pair: a\.bmp and a\.png"):
        pair_up({"m": Path("out")}, ["a"])


def test_sources_are_cropped_to_a_pooled_image_and_to_nothing_else() -> None:
    whole = blocks(0), blocks(1)
    same, note = sources_for(blocks(2), whole, (4,))
    assert (same[0].pixels.shape, note) == (SIZE, None)
    cut, note = sources_for(blocks(2, (32, 40)), whole, (1, 4))
    assert note == "42x34 to 40x32"
    np.testing.assert_array_equal(cut[1].pixels, whole[1].pixels[:32, :40])
    for size in ((32, 42), (33, 42), (34, 41), (8, 10), (42, 34)):
        with pytest.raises(DrfuseError, match=f"is {size[1]}x{size[0]}, its sources are 42x34"):
            sources_for(blocks(2, size), whole, (1, 4))


# ---- gates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("Q_G>=0.4", True), ("q_g >= 0.41", False), ("Q_G<=0.4", True), ("Q_G<0.4", False),
        ("Q_G>0.4", False), ("Q_G>4e-1", False), ("mine:Q_G>=0.4", True), ("Q_G>=-1", True),
    ],
)  # fmt: skip
def test_gates(text: str, passed: bool) -> None:
    found = Evaluation("ivif", None, "x", (METRICS["Q_G"],), (scored("mine", 0.4),))
    (gate,) = parse_gates([text], ["Q_G"], ["mine"], ["mine"])
    verdict = gate.judge(found)
    assert (verdict.passed, verdict.value) == (passed, 0.4)


def test_several_gates_and_how_far_they_are_missed() -> None:
    methods = scored("a", 0.4), scored("b", None)
    found = Evaluation("ivif", None, "x", (METRICS["Q_G"],), methods)
    gates = parse_gates(["Q_G>=0.5,b:Q_G<1", "Q_G<9"], ["Q_G"], ["a", "b"], ["a"])
    verdicts = [gate.judge(found) for gate in gates]
    assert [verdict.passed for verdict in verdicts] == [False, False, True]
    assert verdicts[0].missed_by == pytest.approx(0.1)
    assert verdicts[1].value is None


@pytest.mark.parametrize(
    "text", ["", "Q_G", "Q_G=0.4", "Q_G>=", "Q_G>=x", "Q_G>=nan", "SSIM>=0.4", "b:Q_G>=0.4"]
)
def test_gates_that_are_refused(text: str) -> None:
    with pytest.raises(DrfuseError, match="--gate"):
        parse_gates([text], ["Q_G"], ["a"], ["a"])


# ---- plans ------------------------------------------------------------------------------------


def test_what_runs_by_default() -> None:
    plan = make_plan(request(make_data(Path("data"), "a"), degrade="noise", metrics="drfusion"))
    assert plan.methods == ("drfusion",)
    assert plan.restorers == ("degraded",)
    assert plan.degrade == "noise"
    assert len(plan.setting.metrics) == 6


def test_beside_fused_images_the_network_runs_where_it_is_asked_for() -> None:
    data, out = make_data(Path("data"), "a"), make_fused(Path("out"), "a")
    plan = make_plan(request(data, fused=[str(out)]))
    assert (plan.methods, plan.degrade, plan.restorers) == (("out",), None, ())
    assert set(plan.setting.factors) == {1, 4}
    plan = make_plan(
        request(data, fused=["out"], against="average, DRFusion,restore+average", degrade="noise")
    )
    assert plan.methods == ("drfusion", "out", "average", "restore+average")
    assert plan.restorers == ("degraded", "restore")
    assert plan.setting.factors == (1,)


def test_flags_make_a_custom_degradation() -> None:
    overrides = parse_overrides(noise_std="3")
    data = make_data(Path("data"), "a")
    for mode in ("auto", "composite"):
        plan = make_plan(request(data, overrides=overrides, degrade=mode))
        assert plan.degrade == "custom"
        assert plan.setting.degradations[0].noise_std == 3
    with pytest.raises(DrfuseError, match="nothing says how to degrade"):
        make_plan(request(data))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"metrics": "Q_GG"}, "unknown metric Q_GG"),
        ({"metrics": ""}, "no metric"),
        ({"against": "lapalcian"}, "unknown baseline"),
        ({"fused": ["drfusion=out"], "against": "drfusion"}, "two methods"),
        ({"fused": ["source1=out"]}, "two methods"),
        ({"fused": ["degraded=out"]}, "two methods"),
        ({"fused": ["out"], "images": Path(".")}, "written over"),
        ({"images": Path("data")}, "written over"),
    ],
)
def test_plans_that_are_refused(more: dict[str, Any], message: str) -> None:
    data = make_data(Path("data"), "a")
    make_fused(Path("out"), "a")
    with pytest.raises(DrfuseError, match=message):
        make_plan(request(data, **{"degrade": "noise", **more}))


def test_fused_images_need_their_sources() -> None:
    make_fused(Path("out"), "a")
    with pytest.raises(DrfuseError, match="needs the clean pairs"):
        make_plan(request(None, fused=["out"]))


def test_common_pairs_and_a_limit() -> None:
    data = make_data(Path("data"), "p1", "p2", "p10")
    make_fused(Path("m"), "p2", "p10", "other")
    with pytest.raises(DrfuseError, match="no fused image for p1; no clean pair for other"):
        make_plan(request(data, fused=["m"]))
    plan = make_plan(request(data, fused=["m"], allow_unpaired=True, limit=1))
    assert [pair.name for pair in plan.pairs] == ["p2"]
    assert plan.warnings == ("1 of 3 pairs have no image of every method: left out",)


# ---- runs -------------------------------------------------------------------------------------


def test_the_scores_are_those_against_the_clean_sources() -> None:
    data = make_data(Path("data"), "a")
    make_fused(Path("m"), "a")
    found = evaluate(make_plan(request(data, fused=["m"], metrics="all")))
    from drfuse_cli.colour import luma8

    sources = (luma8(read_image(data / role / "a.png")) for role in ("ir", "vis"))
    expected = score(*sources, luma8(read_image("m/a.png")))
    assert found.methods[0].pairs[0].scores == expected
    assert found.methods[0].seconds_per_pair is None
    assert not found.failures


def test_16_bit_images_are_brought_to_8_bits() -> None:
    data = make_data(Path("data"), "a")
    make_fused(Path("m8"), "a")
    make_fused(Path("m16"), "a", bits=16)
    assert read_image("m16/a.png").bits == 16
    shallow, deep = evaluate(make_plan(request(data, fused=["m8", "m16"]))).methods
    assert shallow.pairs == deep.pairs


def test_a_constant_image_has_no_score_and_a_reason() -> None:
    data = make_data(Path("data"), "a")
    write_image("m/a.png", Image(np.full(SIZE, 7, np.uint8)))
    found = evaluate(make_plan(request(data, fused=["m"], metrics="Q_MI")))
    score = found.methods[0].pairs[0].scores["Q_MI"]
    assert score.value is None
    assert "constant" in str(score.reason)
    assert found.methods[0].mean("Q_MI") is None


def test_a_bad_pair_never_stops_the_others() -> None:
    data = make_data(Path("data"), "a", "b", "c", "d")
    write_bytes(data / "ir" / "a.png", b"no image")
    for name, size in (("a", SIZE), ("b", (33, 40)), ("d", SIZE)):
        make_fused(Path("m"), name, size=size)
    write_bytes("m/c.png", read_image_bytes("m/a.png")[:-20])
    found = evaluate(make_plan(request(data, fused=["m"], against="average")))
    assert [(f.pair, f.method) for f in found.failures] == [("a", None), ("b", "m"), ("c", "m")]
    texts = [failure.message for failure in found.failures]
    assert texts[0].startswith("data/ir/a.png: is not an image")
    assert texts[1] == "m/b.png: the fused image is 40x33, its sources are 42x34"
    assert "m/c.png: is a damaged" in texts[2]
    scored = {method.name: [pair.name for pair in method.pairs] for method in found.methods}
    assert scored == {"m": ["d"], "average": ["b", "c", "d"]}
    assert found.pairs == ("a", "b", "c", "d")


def read_image_bytes(path: str) -> bytes:
    return Path(path).read_bytes()


def test_cropped_images_are_scored_and_said() -> None:
    data = make_data(Path("data"), "a", "b")
    make_fused(Path("m"), "a")
    make_fused(Path("m"), "b", size=(32, 40))
    found = evaluate(make_plan(request(data, fused=["m"])))
    assert not found.failures
    assert found.warnings == (
        "m: 1 of its images are smaller than their sources, which were cropped likewise at the "
        "bottom and right (b: 42x34 to 40x32)",
    )


def test_a_network_that_fails_on_one_pair() -> None:
    problems = [DrfuseError("not enough memory", code=ExitCode.ENVIRONMENT)]

    def fuse(first: Image, second: Image, degradations: Any) -> Any:
        for problem in problems[:1]:
            problems.clear()
            raise problem
        return quick_fuse(first, second, degradations)

    data = make_data(Path("data"), "a", "b")
    found = evaluate(make_plan(request(data, degrade="noise", against="average")), fuse)
    assert [(f.pair, f.method) for f in found.failures] == [("a", "drfusion")]
    assert [len(method.pairs) for method in found.methods] == [1, 2]


def test_pictures_and_restored_sources() -> None:
    data = make_data(Path("data"), "a")
    plan = make_plan(
        request(data, degrade="composite", against="average,lift+average", images=Path("out"))
    )
    found = evaluate(plan, quick_fuse)
    for name in ("source1", "source2", "degraded1", "degraded2", "restored1", "restored2",
                 "drfusion", "average", "lift+average"):  # fmt: skip
        shape = read_image(f"out/{name}/a.png").pixels.shape[:2]
        assert shape == ((8, 10) if name == "degraded1" else (32, 40))
    assert [restoration.name for restoration in found.restorations] == [
        "degraded", "lift", "drfusion",
    ]  # fmt: skip
    assert all(math.isfinite(found.restorations[0].mean(i) or math.nan) for i in (1, 2))
    assert found.methods[0].seconds_per_pair == 0.5


def test_nothing_is_restored_where_nothing_was_degraded() -> None:
    plan = make_plan(request(make_data(Path("data"), "a"), degrade="none", images=Path("out")))
    found = evaluate(plan, quick_fuse)
    assert found.restorations == ()
    assert not Path("out/degraded1").exists()


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    data = make_data(Path("data"), "a", "b", "c")
    make_fused(Path("m"), "a", "b", "c")
    write_bytes("m/b.png", b"no image")
    plan = make_plan(request(data, fused=["m"], against="laplacian,wavelet", metrics="recofuse"))
    alone, spread = evaluate(plan), evaluate(plan, workers=2)
    assert without_seconds(alone) == without_seconds(spread)


def without_seconds(found: Evaluation) -> list[Any]:
    return [[(m.name, m.pairs) for m in found.methods], found.failures, found.warnings]


# ---- the journal --------------------------------------------------------------------------------


def entry(pair: str, value: float | None = 0.5) -> Entry:
    reason = None if value is not None else "constant image"
    return Entry("m", pair, {"Q_G": Score(value, reason)}, 0.1, (None, 33.25), "a to b", ("odd",))


def test_a_journal_gives_back_what_was_written() -> None:
    path, settings = Path("j"), {"seed": 1, "metrics": ("Q_G",)}
    with Journal(path, settings) as journal:
        for pair, value in (("a", 1 / 3), ("b", None), ("\udcff<b>", 1e-300)):
            journal.add(entry(pair, value), "s")
            assert path.read_bytes().endswith(b"\n")
    with Journal(path, settings, resume=True) as journal:
        assert journal.find("m", "a", "s") == entry("a", 1 / 3)
        assert journal.find("m", "b", "s") == entry("b", None)
        assert journal.find("m", "\udcff<b>", "s") == entry("\udcff<b>", 1e-300)
        assert journal.find("m", "a", "changed") is None
        assert journal.find("n", "a", "s") is None
    with Journal(path, settings) as journal:
        assert journal.find("m", "a", "s") is None


def test_a_half_written_line_is_left_out() -> None:
    with Journal(Path("j"), {}) as journal:
        journal.add(entry("a"), "s")
        journal.add(entry("b"), "s")
    whole = Path("j").read_bytes()
    Path("j").write_bytes(whole[:-9])
    with Journal(Path("j"), {}, resume=True) as journal:
        assert journal.find("m", "a", "s") is not None
        assert journal.find("m", "b", "s") is None
        journal.add(entry("b"), "s")
    assert Path("j").read_bytes() == whole


def test_other_settings_are_named() -> None:
    with Journal(Path("j"), {"seed": 1, "steps": 3}):
        pass
    for settings in ({"seed": 2, "steps": 3}, {"seed": 2}):
        with pytest.raises(DrfuseError, match="another seed: 1, now 2"):
            Journal(Path("j"), settings, resume=True)
    with pytest.raises(DrfuseError, match="another steps: 3, now null"):
        Journal(Path("j"), {"seed": 1}, resume=True)
    write_bytes("j", b"text\n")
    with pytest.raises(DrfuseError, match="no journal"):
        Journal(Path("j"), {}, resume=True)


def test_a_stamp_changes_with_its_files() -> None:
    write_bytes("a", b"1")
    before = stamp([Path("a")])
    assert before == stamp([Path("a")])
    os.utime("a", (1, 1))
    assert stamp([Path("a")]) != before
    Path("a").unlink()
    assert stamp([Path("a")]) == "gone"


def test_a_resumed_run_does_only_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_data(Path("data"), "a", "b", "c")
    make_fused(Path("m"), "a", "b", "c")
    first = make_plan(request(data, fused=["m"]))
    with Journal(Path("j"), {}) as journal:
        before = evaluate(first, journal=journal)
    lines = Path("j").read_bytes().splitlines(keepends=True)
    Path("j").write_bytes(b"".join(lines[:2]))
    write_image("m/a.png", blocks(99))
    done: list[str] = []
    from drfuse_cli.evaluation import run

    monkeypatch.setattr(run, "run_job", counting(run.run_job, done))
    with Journal(Path("j"), {}, resume=True) as journal:
        after = evaluate(first, journal=journal)
    assert done == ["a", "b", "c"]  # a has changed
    assert after.methods[0].pairs[1:] == before.methods[0].pairs[1:]
    assert after.methods[0].pairs[0] != before.methods[0].pairs[0]
    done.clear()
    with Journal(Path("j"), {}, resume=True) as journal:
        again = evaluate(make_plan(request(data, fused=["m"], against="average")), journal=journal)
    assert done == ["a", "b", "c"]
    assert again.methods[0] == after.methods[0]
    done.clear()
    with Journal(Path("j"), {}, resume=True) as journal:
        assert evaluate(first, journal=journal) == after
    assert done == []


def counting(work: Callable[[Any], Any], done: list[str]) -> Callable[[Any], Any]:
    def counted(job: Any) -> Any:
        done.append(job.pair.name)
        return work(job)

    return counted


# ---- processes ----------------------------------------------------------------------------------


def test_one_worker_is_this_process() -> None:
    assert list(pool.spread(lambda n: n + 1, iter([1, 2]), 1)) == [2, 3]


def test_what_a_worker_raises_arrives() -> None:
    with pytest.raises(DrfuseError, match="no such file") as caught:
        list(pool.spread(read_image, ["missing.png"], 2))
    assert caught.value.path == "missing.png"
    assert caught.value.hint


def test_a_worker_that_is_killed_is_said() -> None:
    with pytest.raises(DrfuseError, match="was killed") as caught:
        list(pool.spread(os._exit, [3], 2))
    assert caught.value.code == ExitCode.ENVIRONMENT


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert list(pool.spread(os.getenv, ["OMP_NUM_THREADS"], 2)) == ["1"]
    assert os.environ["OMP_NUM_THREADS"] == "5"


ORPHAN = """
import os, sys, time
from drfuse_cli.evaluation.pool import spread
if __name__ == "__main__":
    for pid in spread(eval, ["__import__('os').getpid()", "__import__('time').sleep(60)"], 2):
        print(pid, flush=True)
"""


def test_no_worker_outlives_a_killed_parent(folder: Path) -> None:
    Path("orphan.py").write_text(ORPHAN)
    with subprocess.Popen(
        [sys.executable, "orphan.py"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        for _ in range(200):
            if not alive(worker):
                return
            time.sleep(0.1)
    pytest.fail("the worker is still there")


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        try:
            os.kill(pid, 0)
        except OSError:
            return False
        return True
    return re.search(r"\) [ZX] ", status) is None


def test_the_journal_is_json_lines() -> None:
    with Journal(Path("j"), {"seed": 1}) as journal:
        journal.add(entry("a"), "s")
    header, line = map(json.loads, Path("j").read_text().splitlines())
    assert header == {"schema": "drfuse.eval.journal/1", "settings": {"seed": 1}}
    assert line["scores"] == {"Q_G": [0.5, None]}
