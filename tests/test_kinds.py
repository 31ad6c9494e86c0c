"""``--kind``: which impairments meet which source, and what is drawn of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from cli_support import Cli, save

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.impairments import LowContrast, Stripes
from drfuse_cli.kinds import Kinds, draw_kinds, in_words, parse_kinds


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- parsing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "infrared", "visible"),
    [
        ("haze", (), ("haze",)),
        ("stripes", ("stripes",), ()),
        ("noise,contrast", ("contrast", "noise"), ("contrast", "noise")),
        ("noise, Stripes ,lowlight", ("stripes", "noise"), ("lowlight", "noise")),
        ("ir:noise,haze", ("noise",), ("haze",)),
        ("1:noise,2:haze,noise", ("noise",), ("haze", "noise")),
        ("thermal:haze,RGB:stripes", ("haze",), ("stripes",)),
        ("random", "random", "random"),
        ("ir:random,haze", "random", ("haze",)),
        ("vis:noise,vis:noise", (), ("noise",)),
    ],
)
def test_kinds_meet_the_sources_that_know_them(text: str, infrared: Kinds, visible: Kinds) -> None:
    assert parse_kinds(text) == (infrared, visible)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("strips", "'strips' is no kind", "Did you mean stripes?"),
        ("haze,low-light", "'low-light' is no kind", "lowlight"),
        ("", "'' is no kind", "Kinds: lowlight, haze"),
        ("haze,", "'' is no kind", "Kinds"),
        ("ir:", "'ir:' is no kind", "Kinds"),
        ("eo:haze", "'eo:haze' names no source", "ir: or 1:"),
        (":haze", "':haze' names no source", "vis: or 2:"),
        ("3:haze", "'3:haze' names no source", "ir: or 1:"),
        ("random,haze", "source 2 has random beside haze", "ir:random,vis:haze"),
    ],
)
def test_refusals_name_the_entry(text: str, said: str, hint: str) -> None:
    with pytest.raises(DrfuseError) as caught:
        parse_kinds(text)
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")


def test_words() -> None:
    assert [in_words(kinds) for kinds in (("haze", "noise"), (), "random")] == [
        "haze, noise",
        "left as it is",
        "kinds drawn at random",
    ]


# ---- drawing --------------------------------------------------------------------------------


def test_a_kind_is_drawn_alike_whatever_stands_beside_it() -> None:
    alone = draw_kinds(1, ("haze",), 7, "x", "vis")
    assert draw_kinds(1, ("haze", "noise"), 7, "x", "vis")[0] == alone[0]
    others = [draw_kinds(1, ("haze",), *key) for key in ((8, "x", "vis"), (7, "y", "vis"))]
    assert len({alone, *others}) == 3


def test_random_draws_differ_from_pair_to_pair() -> None:
    draws = [draw_kinds(0, "random", 7, f"{i}", "ir") for i in range(30)]
    kinds = {tuple(one.kind for one in drawn) for drawn in draws}
    assert len(kinds) > 3
    assert {kind for drawn in kinds for kind in drawn} == {"contrast", "stripes", "noise"}


# ---- the command ----------------------------------------------------------------------------

SIZE = (48, 60)


def make(names: tuple[str, ...] = ("x",), bits: int = 8) -> None:
    """Clean pairs under ``clean``: a grey gradient, and three of different colour."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    plane = (x * 2 + y) * (1 if bits == 8 else 257)
    colour = np.stack([plane, plane // 2, plane // 3], -1)
    for name in names:
        save(Path("clean/ir") / f"{name}.png", Image(plane.astype(f"uint{bits}")))
        save(Path("clean/vis") / f"{name}.png", Image(colour.astype(f"uint{bits}")))


def pixels(path: str) -> np.ndarray:
    return read_image(path).pixels


def test_each_source_gets_its_kinds_and_the_record_tells(drfuse: Cli) -> None:
    make(names=("x", "y"))
    done = drfuse("degrade", "clean", "-o", "out", "--kind", "contrast,vis:noise", "--json")
    document = json.loads(done.text)
    assert json.loads(Path("out/degrade.json").read_text()) == document
    assert document["kinds"] == [["contrast"], ["contrast", "noise"]]
    assert document["seed"] == 2026
    assert "source 2: contrast, noise" in done.err
    drawn = {}
    for pair in document["pairs"]:
        (infrared,), (_, noise) = pair["impairments"]
        assert noise["kind"] == "noise"
        assert infrared.pop("kind") == "contrast"
        drawn[pair["name"]] = LowContrast(**infrared)
        clean = pixels(pair["inputs"][0]) / 255
        expected = drawn[pair["name"]].apply(clean, np.random.default_rng()) * 255
        np.testing.assert_allclose(pixels(pair["files"][0]), expected, atol=0.51)
    assert drawn["x"] != drawn["y"]


@pytest.mark.parametrize("kind", ["lowlight", "haze", "contrast", "stripes", "noise", "random"])
def test_the_same_pixels_for_the_same_seed(drfuse: Cli, kind: str) -> None:
    make(names=("x", "y"))
    for out, seed in (("a", "2026"), ("b", "2026"), ("c", "3")):
        drfuse("degrade", "clean", "-o", out, "--kind", kind, "--seed", seed)
    files = sorted(path.relative_to("a") for path in Path("a").rglob("*.png"))
    assert len(files) == 4
    assert [Path("a", f).read_bytes() for f in files] == [Path("b", f).read_bytes() for f in files]
    assert [Path("a", f).read_bytes() for f in files] != [Path("c", f).read_bytes() for f in files]
    os.remove("clean/ir/x.png")
    drfuse("degrade", "clean", "-o", "d", "--kind", kind, "--allow-unpaired")
    assert Path("d/vis/y.png").read_bytes() == Path("a/vis/y.png").read_bytes()


def test_a_source_without_kinds_stays(drfuse: Cli) -> None:
    make()
    done = drfuse("degrade", "clean", "-o", "out", "--kind", "haze", "--clean-out", "cut")
    assert "source 1: left as it is" in done.err
    np.testing.assert_array_equal(pixels("out/ir/x.png"), pixels("clean/ir/x.png"))
    np.testing.assert_array_equal(pixels("cut/vis/x.png"), pixels("clean/vis/x.png"))
    assert pixels("out/vis/x.png").mean() > pixels("clean/vis/x.png").mean() + 20


def test_sixteen_bit_colour_stays(drfuse: Cli) -> None:
    make(bits=16)
    done = drfuse("degrade", "clean", "-o", "out", "--kind", "vis:contrast,stripes", "--json")
    visible, infrared = read_image("out/vis/x.png"), read_image("out/ir/x.png")
    assert (visible.bits, visible.colour, infrared.bits, infrared.colour) == (16, True, 16, False)
    ((stripes,), _) = json.loads(done.text)["pairs"][0]["impairments"]
    added = infrared.pixels.astype(float) - pixels("clean/ir/x.png")
    rows = added[10:]  # what is black cannot get darker
    assert np.ptp(rows, axis=0).max() <= 1
    assert stripes.pop("kind") == "stripes"
    bound = 4 * Stripes(**stripes).std * 257
    assert 100 < np.abs(rows).max() < bound
    assert len(np.unique(visible.pixels)) > 256


def test_the_record_is_an_output_like_others(drfuse: Cli) -> None:
    make()
    arguments = ("degrade", "clean", "-o", "out", "--kind", "haze")
    Path("out").mkdir()
    Path("out/degrade.json").write_text("mine")
    assert "out/degrade.json: already exists" in drfuse(*arguments, code=2).err
    drfuse(*arguments, "--overwrite")
    assert json.loads(Path("out/degrade.json").read_text())["kinds"] == [[], ["haze"]]


def test_operators_write_no_record(drfuse: Cli) -> None:
    make()
    done = drfuse("degrade", "clean", "-o", "out", "--degrade", "noise", "--json")
    assert sorted(os.listdir("out")) == ["ir", "vis"]
    assert "kinds" not in json.loads(done.text)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--kind", "strips"), "Did you mean stripes?"),
        (("--kind", "haze", "--degrade", "blur"), "--kind and --degrade blur"),
        (("--kind", "haze", "--noise-std", "3"), "--kind and flags such as --noise-std"),
        (("--kind", "haze", "--task", "medical"), "not for --task medical"),
    ],
)
def test_refusals_before_the_work(drfuse: Cli, flags: tuple[str, ...], said: str) -> None:
    make()
    assert said in drfuse("degrade", "clean", "-o", "out", *flags, code=2).err
    assert not Path("out").exists()


def test_a_profile_of_operators_is_told(drfuse: Cli) -> None:
    make()
    Path("drfuse.toml").write_text("[profiles.rig.source1]\nnoise_std = 3\n")
    arguments = ("degrade", "clean", "-o", "out", "--kind", "haze", "--profile", "rig")
    assert "--kind and what the profile says" in drfuse(*arguments, code=2).err


def test_degrade_none_is_no_contradiction(drfuse: Cli) -> None:
    make()
    drfuse("degrade", "clean", "-o", "out", "--kind", "haze", "--degrade", "none")
    assert Path("out/vis/x.png").exists()
