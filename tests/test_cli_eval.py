"""`drfuse eval`: its modes, its reports, its gates, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cli_support import TINY_WEIGHTS, Cli, FakeWeights
from evaluation_support import SIZE, blocks, make_data, make_fused, quick_fuse

from drfuse_cli import __version__
from drfuse_cli.evaluation.results import Evaluation, MethodScores, PairScores
from drfuse_cli.imageio import Image, read_image, write_bytes, write_image
from drfuse_cli.metrics import METRICS, Score
from drfuse_cli.report import viewer
from drfuse_cli.report.evaluation import harmless, latex_table, score_grid
from drfuse_cli.report.viewer import Picture

WRITE_VIEWER = viewer.write_viewer


class QuickEngine:
    """Stands in for the network; ``options`` of the last one are kept."""

    options: Any = None

    def __init__(self, weights: Any, options: Any) -> None:
        type(self).options = options

    def fuse(self, first: Image, second: Image, degradations: Any) -> Any:
        return quick_fuse(first, second, degradations)


Pages = list[tuple[Evaluation, list[Picture]]]


@pytest.fixture(autouse=True)
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pages:
    """A fresh folder, a quick engine, and a page that only says what it was given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "drfuse_cli.engine", SimpleNamespace(Engine=QuickEngine))
    monkeypatch.setattr("drfuse_cli.weights.load_weights", lambda *a, **k: FakeWeights())
    given: Pages = []

    def write_viewer(evaluation: Evaluation, pictures: list[Picture], path: Path) -> None:
        given.append((evaluation, list(pictures)))
        write_bytes(path, b"<!doctype html>")

    monkeypatch.setattr(viewer, "write_viewer", write_viewer)
    return given


EVAL = ("eval", "data", "--workers", "1", "--metrics", "SSIM,SD")
DEGRADED = (*EVAL, "--degrade", "composite")
DRFUSE_AND_BASELINE = (*DEGRADED, "--against", "average")
SCORED = (*EVAL, "--fused", "mine")


def loaded(path: str | Path = "out/report.json") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(path).read_bytes(), parse_constant=pytest.fail)
    return document


def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Path("out/report.csv").read_text())))


# ---- modes --------------------------------------------------------------------------------------


def test_degrade_fuse_and_score(drfuse: Cli, pages: Pages) -> None:
    make_data(Path("data"), "p2", "p10")
    done = drfuse(*DRFUSE_AND_BASELINE, "-o", "out")
    document = loaded()
    assert document["schema"] == "drfuse.eval/1"
    assert document["version"] == __version__
    assert (document["task"], document["degrade"]) == ("ivif", "composite")
    assert document["dataset"] == {"path": "data", "pairs": 2}
    assert document["seed"] == 2026
    assert document["weights"] == TINY_WEIGHTS
    assert [operator["sr_scale"] for operator in document["operators"]] == [4, 1]
    assert document["metrics"]["SSIM"]["better"] == "higher"
    assert document["metrics"]["SSIM"]["range"] == [-1, 1]
    assert set(document["metrics"]["SD"]) >= {"better", "range", "source"}
    assert [method["name"] for method in document["methods"]] == ["drfusion", "average"]
    for method in document["methods"]:
        assert [pair["name"] for pair in method["pairs"]] == ["p2", "p10"]
        values = [pair["SSIM"] for pair in method["pairs"]]
        assert method["mean"]["SSIM"] == pytest.approx(np.mean(values))
        assert method["std"]["SSIM"] == pytest.approx(np.std(values))
        assert "null_reason" not in method["pairs"][0]
    assert document["methods"][0]["seconds_per_pair"] == 0.5
    assert [found["name"] for found in document["restoration"]] == ["degraded", "drfusion"]
    assert set(document["restoration"][0]["pairs"][0]) == {"name", "PSNR_1", "PSNR_2"}
    assert document["failures"] == document["warnings"] == []
    assert done.text.splitlines()[-1] == "out/report.html"
    assert "drfusion" in done.text
    assert "SSIM ↑" in done.text
    assert "4 times smaller" in done.err
    ((evaluation, pictures),) = pages
    assert evaluation.pairs == ("p2", "p10")
    assert {picture.method for picture in pictures} == {
        "source1", "source2", "degraded1", "degraded2", "drfusion", "average",
    }  # fmt: skip
    assert len(pictures) == 12


def test_without_a_folder_the_table_is_all(drfuse: Cli) -> None:
    make_data(Path("data"), "a")
    done = drfuse(*DEGRADED)
    assert "drfusion" in done.text
    assert sorted(path.name for path in Path().iterdir()) == ["data"]


def test_json_is_the_report_and_nothing_else(drfuse: Cli) -> None:
    make_data(Path("data"), "a")
    make_fused(Path("mine"), "a")
    done = drfuse(*SCORED, "--json", "-o", "out")
    assert json.loads(done.out) == loaded()
    assert loaded()["degrade"] is None
    assert "weights" not in loaded()


def test_fused_images_of_two_methods(drfuse: Cli, pages: Pages) -> None:
    make_data(Path("data"), "a", "b")
    make_fused(Path("mine"), "a", "b")
    make_fused(Path("theirs"), "a", "b", seed=70, bits=16)
    drfuse(*SCORED, "--fused", "other=theirs", "-o", "out")
    document = loaded()
    assert [method["name"] for method in document["methods"]] == ["mine", "other"]
    assert document["fused"] == {"mine": "mine", "other": "theirs"}
    assert document["methods"][0]["seconds_per_pair"] is None
    assert "restoration" not in document
    assert read_image("out/images/other/b.png").bits == 16
    assert {picture.method for picture in pages[0][1]} == {"source1", "source2", "mine", "other"}


def test_the_rendered_scenes(drfuse: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []

    def render(name: str) -> tuple[Image, Image]:
        rendered.append(name)
        return blocks(0), blocks(1, colour=True)

    monkeypatch.setattr("drfuse_cli.scenes.render", render)
    drfuse("eval", "--task", "medical", "--degrade", "noise", "--workers", "1", "--metrics", "SD",
           "--limit", "2", "-o", "out")  # fmt: skip
    assert rendered == ["mri-pet", "mri-spect"]
    assert loaded()["dataset"] == {"path": "drfuse scenes", "pairs": 2}


def test_what_the_engine_is_told(drfuse: Cli) -> None:
    make_data(Path("data"), "a")
    drfuse(*DEGRADED, "--steps", "2", "--no-correction", "--device", "cpu", "--tile", "64",
           "--seed", "7", "--precision", "fp32", "--self-ensemble", "4", "-o", "out")  # fmt: skip
    options = QuickEngine.options
    assert options.self_ensemble == 4
    assert (options.steps, options.correction, options.device) == (2, "none", "cpu")
    assert (options.tile, options.seed, options.precision) == (64, 7, "fp32")
    document = loaded()
    assert (document["steps"], document["correction"], document["tile"]) == (2, False, 64)


# ---- reports ------------------------------------------------------------------------------------


def test_the_csv_has_every_pair_then_the_means(drfuse: Cli) -> None:
    make_data(Path("data"), "a", "b")
    drfuse(*DRFUSE_AND_BASELINE, "-o", "out")
    found = rows()
    assert [(row["row"], row["method"], row["pair"]) for row in found] == [
        ("pair", "drfusion", "a"), ("pair", "drfusion", "b"),
        ("pair", "average", "a"), ("pair", "average", "b"),
        ("mean", "drfusion", ""), ("mean", "average", ""),
        ("std", "drfusion", ""), ("std", "average", ""),
    ]  # fmt: skip
    assert list(found[0])[3:] == [
        "SSIM", "SD", "degraded_PSNR_1", "degraded_PSNR_2", "PSNR_1", "PSNR_2",
    ]  # fmt: skip
    document = loaded()
    assert float(found[0]["SSIM"]) == document["methods"][0]["pairs"][0]["SSIM"]
    assert float(found[4]["PSNR_2"]) == document["restoration"][1]["mean"]["PSNR_2"]
    assert found[2]["PSNR_1"] == ""


def test_undefined_is_null_with_a_reason(drfuse: Cli) -> None:
    make_data(Path("data"), "a", "b")
    make_fused(Path("mine"), "a")
    write_image("mine/b.png", Image(np.full(SIZE, 7, np.uint8)))
    arguments = [word if word != "SSIM,SD" else "Q_MI" for word in SCORED]
    done = drfuse(*arguments, "-o", "out")
    method = loaded()["methods"][0]
    assert method["pairs"][1]["Q_MI"] is None
    assert "constant" in method["pairs"][1]["null_reason"]["Q_MI"]
    assert method["mean"]["Q_MI"] == method["pairs"][0]["Q_MI"]
    assert [row["Q_MI"] for row in rows()][1] == ""
    assert "nan" not in done.text.lower()


def test_the_terminal_says_what_a_mean_leaves_out(drfuse: Cli) -> None:
    make_data(Path("data"), "a", "b")
    make_fused(Path("mine"), "a")
    write_image("mine/b.png", Image(np.full(SIZE, 7, np.uint8)))
    said = drfuse("eval", "data", "--fused", "mine", "--metrics", "Q_MI,SD").err
    assert "Q_MI of mine has no value for 1 of 2 pairs (constant image" in said
    assert "the mean is over the others" in said
    assert "SD of mine" not in said


def test_many_metrics_stand_below_each_other(drfuse: Cli) -> None:
    make_data(Path("data"), "a")
    make_fused(Path("mine"), "a")
    arguments = [word if word != "SSIM,SD" else "all" for word in SCORED]
    done = drfuse(*arguments, "-o", "out")
    assert list(loaded()["metrics"]) == list(METRICS)
    lines = [line for line in done.text.splitlines() if "│" in line]
    assert len(lines) == len(METRICS)
    assert "Q_SF →0" in done.text


HOSTILE = ("=1+1", "@sum(A1)", "<img src=x onerror=alert(1)>", "a&b_c%$#{}^~\\ü", "-3")


def test_hostile_names_stay_text(drfuse: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "write_viewer", WRITE_VIEWER)
    make_data(Path("data"), *HOSTILE)
    make_fused(Path("+cmd|<i>"), *HOSTILE)
    drfuse(*EVAL, "--fused", "+cmd|<i>", "-o", "out")
    assert {row["method"] for row in rows()} == {"'+cmd|<i>"}
    assert {row["pair"] for row in rows()} == {
        "'=1+1", "'@sum(A1)", "<img src=x onerror=alert(1)>", "a&b_c%$#{}^~\\ü", "-3", "",
    }  # fmt: skip
    page = Path("out/report.html").read_text()
    assert "<img src=x" not in page
    assert "<i>" not in page
    assert {pair["name"] for pair in loaded()["methods"][0]["pairs"]} == set(HOSTILE)
    assert r"+cmd\textbar{}\textless{}i\textgreater{}" in Path("out/report.tex").read_text()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("=1", "'=1"), ("+a", "'+a"), ("-a", "'-a"), ("@x", "'@x"), ("\tx", "'\tx"),
        ("\rx", "'\rx"), ("-1.5e-3", "-1.5e-3"), ("+2", "+2"), ("a=1", "a=1"), ("", ""),
    ],
)  # fmt: skip
def test_cells_that_a_spreadsheet_would_run(cell: str, expected: str) -> None:
    assert harmless(cell) == expected


def evaluation(*means: float | None, metric: str = "Q_G") -> Evaluation:
    methods = (
        MethodScores(f"m_{i}", (PairScores("a", {metric: Score(mean)}),))
        for i, mean in enumerate(means)
    )
    return Evaluation("ivif", "noise", "a_b", (METRICS[metric],), tuple(methods), pairs=("a",))


def test_the_latex_table_marks_best_and_second() -> None:
    text = latex_table(evaluation(0.1, 0.3, None, 0.2))
    assert r"m\_1 & \textbf{0.3000} \\" in text
    assert r"m\_3 & \underline{0.2000} \\" in text
    assert r"m\_0 & 0.1000 \\" in text
    assert r"m\_2 & - \\" in text
    assert r"Q\_G $\uparrow$" in text
    assert r"\caption{Mean over 1 pairs of a\_b (ivif, noise).}" in text


def test_one_method_alone_is_not_the_best() -> None:
    ((_, (cell,)),) = score_grid(evaluation(0.1)).rows
    assert (cell.text, cell.place) == ("0.1000", None)


def test_figures_are_as_fine_as_they_are_small() -> None:
    texts = [cells[0].text for _, cells in score_grid(evaluation(9.5, 123.456)).rows]
    assert texts == ["9.50", "123.46"]


# ---- gates --------------------------------------------------------------------------------------


def test_gates_decide_the_exit_code(drfuse: Cli) -> None:
    make_data(Path("data"), "a")
    make_fused(Path("mine"), "a")
    drfuse(*SCORED, "--gate", "SSIM>=-1,SD>1", "--gate", "mine:SSIM<=1")
    done = drfuse(*SCORED, "--gate", "SD>=1000,SSIM<1", "-o", "out", code=1)
    assert re.search(r"gate SD>=1000: the mean of mine is [\d.]+, missed by 9\d\d", done.err)
    assert "SSIM" not in done.err.split("error:")[1]
    verdicts = loaded()["gates"]
    assert [verdict["passed"] for verdict in verdicts] == [False, True]
    assert verdicts[0]["method"] == "mine"


def test_a_gate_is_about_drfuse_unless_it_says_otherwise(drfuse: Cli) -> None:
    make_data(Path("data"), "a")
    done = drfuse(*DRFUSE_AND_BASELINE, "--gate", "SD>999,average:SD>999", "--json", code=1)
    assert [verdict["method"] for verdict in json.loads(done.out)["gates"]] == [
        "drfusion", "average",
    ]  # fmt: skip


# ---- resuming -----------------------------------------------------------------------------------


def without_seconds(path: str) -> str:
    return re.sub(r'"seconds_per_pair": [\d.e-]+', "", Path(path).read_text())


def test_a_resumed_run_writes_the_same_report(drfuse: Cli) -> None:
    make_data(Path("data"), "a", "b", "c")
    arguments = (*DEGRADED, "--against", "average,lift+average", "-o", "out")
    drfuse(*arguments)
    whole = [without_seconds(f"out/report.{kind}") for kind in ("json", "csv", "tex")]
    journal = Path("out/scores.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:5]) + lines[5][:30])
    Path("out/report.json").unlink()
    drfuse(*arguments, "--resume")
    assert [without_seconds(f"out/report.{kind}") for kind in ("json", "csv", "tex")] == whole
    assert len(journal.read_bytes().splitlines()) == len(lines)


def test_a_run_with_other_settings_is_not_resumed(drfuse: Cli) -> None:
    make_data(Path("data"), "a")
    drfuse(*DEGRADED, "-o", "out")
    for flags, name in (
        (("--seed", "1"), "seed"),
        (("--steps", "1"), "steps"),
        (("--degrade", "noise"), "degrade"),
        (("--metrics", "SD"), "metrics"),
    ):
        done = drfuse(*DEGRADED, *flags, "-o", "out", "--resume", code=2)
        assert f"another {name}" in done.err
    drfuse(*DEGRADED, "-o", "out", "--resume", "--against", "average")
    assert [method["name"] for method in loaded()["methods"]] == ["drfusion", "average"]


def test_results_are_not_overwritten_unasked(drfuse: Cli) -> None:
    make_data(Path("data"), "a")
    make_fused(Path("mine"), "a")
    drfuse(*SCORED, "-o", "out")
    assert "already exists" in drfuse(*SCORED, "-o", "out", code=2).err
    drfuse(*SCORED, "-o", "out", "--overwrite")
    assert "--resume" in drfuse(*SCORED, "--resume", code=2).err
    assert "contradict" in drfuse(*SCORED, "-o", "out", "--resume", "--overwrite", code=2).err


def test_reports_do_not_depend_on_the_workers(drfuse: Cli) -> None:
    make_data(Path("data"), "a", "b")
    make_fused(Path("mine"), "a", "b")
    for workers in ("1", "2"):
        drfuse(*SCORED, "--against", "laplacian", "--workers", workers, "-o", f"out{workers}")
    for kind in ("json", "csv", "tex"):
        alone, spread = (without_seconds(f"out{n}/report.{kind}") for n in (1, 2))
        assert alone == spread


# ---- bad input ----------------------------------------------------------------------------------


def test_a_pair_that_fails_is_reported_and_the_run_goes_on(drfuse: Cli) -> None:
    make_data(Path("data"), "a", "b", "c")
    make_fused(Path("mine"), "a")
    make_fused(Path("mine"), "b", size=(20, 20))
    write_bytes("mine/c.png", b"")
    done = drfuse(*SCORED, "-o", "out", code=1)
    assert "error: 2 of 3 pairs failed" in done.err
    assert "the fused image is 20x20, its sources are 42x34" in done.err
    document = loaded()
    assert [pair["name"] for pair in document["methods"][0]["pairs"]] == ["a"]
    assert document["failures"][1] == {
        "pair": "c", "method": "mine", "message": "mine/c.png: is empty",
    }  # fmt: skip
    assert document["dataset"]["pairs"] == 3
    done = drfuse(*SCORED, "--gate", "SD>999", code=1)
    assert "2 of 3 pairs failed; gate SD>999" in done.err


def test_everything_failing_is_still_a_report(drfuse: Cli) -> None:
    make_data(Path("data"), "a")
    write_bytes("mine/a.png", b"")
    drfuse(*SCORED, "-o", "out", code=1)
    assert loaded()["methods"][0]["mean"] == {"SSIM": None, "SD": None}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--metrics", "Q_GG"), "Q_G"),
        (("--against", "laplace"), "laplacian"),
        (("--fused", "missing"), "no such folder"),
        (("--fused", "empty"), "holds no fused images"),
        (("--fused", "mine"), "no fused image for b; no clean pair for x"),
        (("--gate", "Q_G>=0.4"), "is not scored"),
        (("--gate", "SD"), "no condition"),
        (("--noise-std", "x"), "not a number"),
        (("--workers", "0"), "--workers"),
        (("--limit", "0"), "--limit"),
    ],
)
def test_mistakes_end_before_the_work(drfuse: Cli, flags: tuple[str, ...], expected: str) -> None:
    make_data(Path("data"), "a", "b")
    make_fused(Path("mine"), "a", "x")
    Path("empty").mkdir()
    assert expected in drfuse(*DEGRADED, *flags, "-o", "out", code=2).err
    assert not Path("out").exists()


def test_missing_partners_and_data(drfuse: Cli) -> None:
    assert "no such folder" in drfuse(*DEGRADED, code=2).err
    make_data(Path("data"), "a", "b")
    Path("data/vis/b.png").unlink()
    assert "no partner for ir/b.png" in drfuse(*DEGRADED, code=2).err
    drfuse(*DEGRADED, "--allow-unpaired")
    assert "nothing says how to degrade" in drfuse(*EVAL, code=2).err
    assert "needs the clean pairs" in drfuse("eval", "--fused", "data", code=2).err
