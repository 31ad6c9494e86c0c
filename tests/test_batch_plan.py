"""Which pairs a batch works on: tables, shards, names, and folders that are no input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drfuse_cli.batch.pairs_csv import read_pairs
from drfuse_cli.batch.plan import Outputs, Plan, Shard, gather_pairs, make_plan
from drfuse_cli.config import Pair
from drfuse_cli.errors import DrfuseError

OUT = Outputs(Path("out"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def table(text: str | bytes, path: str = "pairs.csv") -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Path(path)


# ---- tables -----------------------------------------------------------------------------------


def test_a_table_with_names(folder: Path) -> None:
    touch("set/a/2.png", "set/b/2.jpg", "set/a/10.png", "set/b/10.png")
    path = table(
        "note,name,source1,source2\nx,night/10,a/10.png,b/10.png\n\ny,night/2,a/2.png,b/2.jpg\n",
        "set/pairs.csv",
    )
    assert read_pairs(path) == [
        Pair("night/2", Path("set/a/2.png"), Path("set/b/2.jpg")),
        Pair("night/10", Path("set/a/10.png"), Path("set/b/10.png")),
    ]


def test_a_table_without_names_calls_pairs_by_source_1(folder: Path) -> None:
    touch("a/x.png", "b/y.png")
    path = table('\ufeffsource1,source2\r\n"a/x.png",b/y.png\r\n')
    assert [pair.name for pair in read_pairs(path)] == ["x"]


def test_absolute_paths_and_names_in_no_encoding(folder: Path) -> None:
    odd = os.fsdecode(b"a/\xff.png")
    touch(odd, "b/y.png")
    path = table(f"source1,source2\n{odd},{folder}/b/y.png\n".encode(errors="surrogateescape"))
    (pair,) = read_pairs(path)
    assert pair.source1.is_file()
    assert pair.source2 == folder / "b/y.png"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column source1 and no column source2"),
        ("a.png,b.png\n", "no column source1"),
        ("source1,name\na.png,x\n", "no column source2"),
        ("source1,source2\n", "holds no pairs"),
        ("source1,source2\na.png\n", "line 2 has no source2"),
        ("source1,source2\n,b.png\n", "line 2 has no source1"),
        ("source1,source2\na.png,missing.png\n", "no such file: missing.png"),
        ("source1,source2\na.png,b.png\na.png,b.png\n", "several pairs have one name: a"),
        ('source1,source2\n"a.png,b.png\n', "is no CSV table"),
    ],
)
def test_tables_that_are_refused(folder: Path, text: str, said: str) -> None:
    touch("a.png", "b.png")
    with pytest.raises(DrfuseError, match=said) as caught:
        read_pairs(table(text))
    assert caught.value.path == "pairs.csv"


def test_a_table_that_is_not_there(folder: Path) -> None:
    with pytest.raises(DrfuseError, match="no such file"):
        read_pairs(Path("pairs.csv"))


def test_rows_without_files_can_be_skipped(folder: Path) -> None:
    touch("a.png", "b.png")
    path = table("source1,source2\na.png,b.png\nc.png,b.png\n")
    assert [pair.name for pair in read_pairs(path, allow_unpaired=True)] == ["a"]


# ---- folders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["set/fused", "set/ir/fused", "set/vis/deep/fused"])
def test_the_output_folder_is_no_input(folder: Path, output: str) -> None:
    touch("set/ir/1.png", "set/vis/1.png", f"{output}/1.png", f"{output}/x/2_ir.png")
    pairs = gather_pairs(Path("set"), None, "ivif", False, Outputs(Path(output)))
    assert [pair.name for pair in pairs] == ["1"]


def test_outputs_beside_files_that_pair_by_suffix(folder: Path) -> None:
    touch("set/1_ir.png", "set/1_vis.png", "set/out/2_ir.png", "set/s/source1/3_vis.png")
    outputs = Outputs(Path("set/out"), Path("set/s"))
    pairs = gather_pairs(Path("set"), None, "ivif", False, outputs)
    assert [pair.name for pair in pairs] == ["1"]


def test_an_output_folder_that_leads_elsewhere(folder: Path) -> None:
    touch("set/1_ir.png", "set/1_vis.png", "elsewhere/2_ir.png")
    os.symlink(folder / "elsewhere", "set/out")
    assert gather_pairs(Path("set"), None, "ivif", False, Outputs(Path("set/out")))


def test_results_do_not_go_among_the_sources(folder: Path) -> None:
    touch("set/ir/1.png", "set/vis/1.png")
    with pytest.raises(DrfuseError, match="the folder of source 2"):
        gather_pairs(Path("set"), None, "ivif", False, Outputs(Path("out"), Path("set/vis")))


def test_something_must_say_which_pairs() -> None:
    with pytest.raises(DrfuseError, match="which pairs"):
        gather_pairs(None, None, "ivif", False, OUT)


# ---- plans ------------------------------------------------------------------------------------


def plan(*names: str, shard: str | None = None, outputs: Outputs = OUT) -> Plan:
    pairs = [Pair(name, Path("a") / name, Path("b") / name) for name in names]
    return make_plan(pairs, outputs, Shard.of(shard) if shard else None)


def test_outputs_mirror_the_input_tree() -> None:
    outputs = Outputs(Path("o"), Path("s"), Path("e"), ("weight_map.png",))
    (work,) = plan("night/1", outputs=outputs).work
    assert [path.as_posix() for path in work.files] == [
        "s/source1/night/1.png",
        "s/source2/night/1.png",
        "e/night/1/weight_map.png",
        "o/night/1.png",
    ]


def test_shards_together_are_the_whole() -> None:
    names = [str(i) for i in range(7)]
    parts = [plan(*names, shard=f"{k}/3") for k in (1, 2, 3)]
    found = [[work.name for work in part.work] for part in parts]
    assert sorted(name for part in found for name in part) == names
    assert found[1] == ["1", "4"]
    assert all(part.names == tuple(names) for part in parts)
    assert parts[1].manifest == Path("out/manifest.2-of-3.jsonl")
    assert parts[1].summary == Path("out/summary.2-of-3.json")
    assert plan("1", shard="2/2").work == ()


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "a/2", "1/2/3", "-1/2", "²/3"])
def test_shards_that_cannot_be(text: str) -> None:
    with pytest.raises(DrfuseError, match="--shard is"):
        Shard.of(text)


@pytest.mark.parametrize(
    "name", ["", "/x", "../x", "a/../../x", "a/./b", "a//b", ".", "a/", "a\0b"]
)
def test_names_stay_inside_the_output_folder(name: str) -> None:
    with pytest.raises(DrfuseError, match="cannot name a pair"):
        make_plan([Pair(name, Path("a.png"), Path("b.png"))], OUT)
