"""The page on metrics, and the benches that make its figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from metrics_support import ramps

from bench.metrics import golden, page, run
from drfuse_cli.imageio import Image, write_image
from drfuse_cli.metrics import METRICS, score


def rows(text: str, header: str) -> list[list[str]]:
    """The cells below a table's header, line by line."""
    lines = text.partition(header)[2].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


# ---- the page -------------------------------------------------------------------------------


def test_the_page_holds_what_the_package_says() -> None:
    """Otherwise: python bench/metrics/page.py --write."""
    text = page.PAGE.read_text("utf-8")
    assert page.with_tables(text) == text


def test_a_table_without_a_place_is_an_error() -> None:
    text = page.PAGE.read_text("utf-8")
    with pytest.raises(ValueError, match="metrics"):
        page.with_tables(text.replace("<!-- metrics -->", ""))


def test_tables_have_as_many_cells_as_columns() -> None:
    for table in page.TABLES.values():
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table().splitlines()}) == 1


def test_every_agreement_on_the_page_is_within_one_in_a_million() -> None:
    found = rows(page.PAGE.read_text("utf-8"), "| metric | cases | largest relative error |")
    assert [cells[0] for cells in found] == list(METRICS)
    assert all(int(cells[1]) >= 3 and float(cells[2]) <= 1e-6 for cells in found)


def test_every_metric_on_the_page_has_its_time() -> None:
    found = rows(page.PAGE.read_text("utf-8"), "| metric | ms |")
    assert [cells[0] for cells in found[: len(METRICS)]] == list(METRICS)


# ---- the benches ----------------------------------------------------------------------------


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Four values for the ramps: right, a tenth off, loosely known and missing."""
    folder = tmp_path / "own"
    (folder / "images" / "ramps").mkdir(parents=True)
    for name, pixels in zip(("ir", "vi", "fused"), ramps(), strict=True):
        write_image(folder / "images" / "ramps" / f"{name}.png", Image(pixels))
    right = score(*ramps(), ["N_ABF", "SD", "Q_Y"])
    document = {
        "golden": {
            "ramps": {
                "N_abf": right["N_ABF"].value,
                "SD": right["SD"].value / 1.1,
                "Q_Y": right["Q_Y"].value + 0.01,
                "Q_CV": "nan",
                "unknown": 3.0,
            }
        },
        "ill_conditioned": {"ramps": {"Q_Y": 0.02}},
    }
    (folder / "golden.json").write_text(json.dumps(document))
    return tmp_path


def test_reference_values_are_compared(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden.main([str(suite)]) == 0
    printed = capsys.readouterr().out
    found = {cells[0]: cells[1:] for cells in rows(printed, "| metric | cases |")}
    assert list(found) == list(METRICS)
    assert found["N_ABF"] == ["1", "0.0e+00", "", ""]
    assert found["SD"] == ["1", "1.0e-01", "", ""]
    assert found["Q_Y"] == ["0", "", "", ""]
    assert found["Q_CV"] == ["0", "", "", "ramps"]
    assert [[c[0], c[1], *c[4:]] for c in rows(printed, "| case | metric |")] == [
        ["ramps", "Q_Y", "1.0e-02", "2.0e-02"]
    ]


def test_a_folder_without_reference_values_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no SUITE/golden\.json"):
        golden.main([str(tmp_path)])


def test_every_metric_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--size", "176x164", "--repeat", "1"]) == 0
    found = rows(capsys.readouterr().out, "| metric | ms |")
    assert [cells[0] for cells in found[: len(METRICS)]] == list(METRICS)
    assert all(float(cells[1]) > 0 for cells in found[len(METRICS) :])
    assert len(found) == len(METRICS) + 5
