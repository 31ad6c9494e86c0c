"""Profiles: what a drfuse.toml may say, what is made of it, and that flags win."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_support import lines, make_weights
from cli_support import Cli, FakeEngine, noise, save, use_fake_engine

from drfuse_cli.cli.doctor import _profiles
from drfuse_cli.config import Degradation, Pair
from drfuse_cli.degradations import Overrides
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.pairs import find_pairs
from drfuse_cli.profiles import Profile, SourceProfile, find_profile, read_profiles
from drfuse_cli.profiles.text import put, render
from drfuse_cli.report.sidecar import arguments
from drfuse_cli.rig import FixedMotion, Margins, parse_crop, parse_motion
from drfuse_cli.sequence.frames import settled
from drfuse_cli.sources import Assumptions, read_sources

FULL = """
profile = "other"

[profiles.my-rig]
task = "ivif"
steps = 2
weights = "tiny.safetensors"
tile = 256

[profiles.my-rig.source1]
role = "left"
noise_std = 3
noise_curve = [[20, 1.0], [120, 2.0], [220, 6]]
blur_sigma = 1.5
crop = [4, 0, 2, 1]

[profiles.my-rig.source2]
role = "right"
psf = "psf.npy"

[profiles.my-rig.motion]
source = 1
shift = [2, -3]
size = [32, 24]

[profiles.other]
degrade = "noise"
"""
HOMOGRAPHY = (1.0, 0.01, 2.0, -0.01, 1.0, -1.5, 0.0, 1e-05, 1.0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def engine(here: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    """A pair of 32 x 24 pixels, ir.png and vis.png."""
    save(Path("ir.png"), noise(24, 32))
    save(Path("vis.png"), noise(24, 32, colour=True, seed=1))
    return use_fake_engine(monkeypatch)


FUSE = ("fuse", "ir.png", "vis.png", "-o", "out.png", "--overwrite")


def write(text: str, path: str = "drfuse.toml") -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def rig(*parts: str) -> Path:
    """A file with one profile, ``r``."""
    return write("[profiles.r]\n" + "\n".join(parts) + "\n")


def told(engine: type[FakeEngine]) -> tuple[Degradation, Degradation]:
    return engine.calls[-1][1]


# ---- the file -----------------------------------------------------------------------------------


def test_everything_that_a_profile_may_say(here: Path) -> None:
    found = read_profiles(write(FULL, "rigs/drfuse.toml"))
    assert found.default == "other"
    assert found["my-rig"] == Profile(
        "my-rig",
        "rigs/drfuse.toml",
        {"task": "ivif", "steps": 2, "weights": "rigs/tiny.safetensors", "tile": "256"},
        (
            SourceProfile(
                "left", 3.0, ((20, 1.0), (120, 2.0), (220, 6.0)), 1.5, None, None,
                Margins(4, 0, 2, 1),
            ),
            SourceProfile("right", psf="rigs/psf.npy"),
        ),
        FixedMotion(1, (2.0, -3.0), (32, 24)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[profiles.r]\nstep = 3", "profiles.r.step: unknown key; did you mean steps?"),
        ("[profile.r]\nsteps = 3", "profile: {'r': {'steps': 3}} is not a text"),
        ("[profils.r]\nsteps = 3", "profils: unknown key; did you mean profiles?"),
        ("[profiles.r]\nsteps = '3'", "profiles.r.steps: '3' is not a whole number from 1 to 100"),
        ("[profiles.r]\nsteps = true", "profiles.r.steps: True is not"),
        ("[profiles.r]\ntask = 'x'", "profiles.r.task: 'x' is not one of ivif,"),
        ("[profiles.r]\ntask = ['x']", "profiles.r.task: ['x'] is not one of ivif,"),
        ("[profiles.r]\ndevice = 'tpu'", "profiles.r.device: 'tpu' is not auto, cpu"),
        ("[profiles.r]\ncap_blur = 1", "profiles.r.cap_blur: 1 is not true or false"),
        ("[profiles.r]\ntile = -1", "profiles.r.tile: -1 is not auto, or a whole number"),
        ("[profiles.r]\nsource1 = 3", "profiles.r.source1: 3 is not a table"),
        ("[profiles]\nr = 3", "profiles.r: 3 is not a table"),
        ("[profiles.r.source1]\nnoise = 3", "profiles.r.source1.noise: unknown key; did you mean"),
        ("[profiles.r.source2]\nnoise_std = nan", "profiles.r.source2.noise_std: nan is not"),
        ("[profiles.r.source2]\nnoise_std = 300", "300 is not a number from 0 to 255"),
        ("[profiles.r.source1]\ncrop = [1, 2]", "source1.crop: [1, 2] is not pixels [left, top"),
        ("[profiles.r.source1]\nnoise_std = 1\nnoise_curve = [[9, 1], [3, 1]]", "going up"),
        ("[profiles.r.source1]\nnoise_std = 1\nnoise_curve = []", "noise_curve: [] is not"),
        ("[profiles.r.source1]\nnoise_curve = [[9, 1]]", "noise_curve: noise_std is missing"),
        ("[profiles.r.source1]\npsf = 'a.npy'\nblur_sigma = 2", "source1: both psf and blur_sig"),
        ("[profiles.r.source1]\nsr_scale = 2", "profiles.r: one source has sr_scale, and the"),
        ("[profiles.r]\nsource1.role = 'a'\nsource2.role = 'A'", "both sources have the same role"),
        ("[profiles.r]\nsource1.role = 'a*'\nsource2.role = 'b'", "two patterns with one *"),
        ("[profiles.r.motion]\nsource = 1", "profiles.r.motion: it needs source, and either"),
        ("[profiles.r.motion]\nsource = 3\nshift = [1, 2]", "source: 3 is not a whole number"),
        ("[profiles.r.motion]\nsource = 1\nshift = [1, inf]", "is not pixels [right, down]"),
        ("[profiles.r.motion]\nsource = 1\nhomography = [[0,0,0],[0,0,0],[0,0,1]]", "inverted"),
        ("[profiles.r]\nregister = 'auto'\nmotion = {source = 1, shift = [1, 2]}", "nothing to"),
        ("[profiles.none]\nsteps = 3", "profiles.none: this cannot be a name"),
        ("profile = 'rr'\n[profiles.r]\nsteps = 3", "has no profile 'rr'; did you mean r?"),
        ("[profiles.r\nsteps = 3", "is not TOML"),
        ("\udcff", "is not TOML: no UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(here: Path, text: str, message: str) -> None:
    Path("drfuse.toml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DrfuseError) as caught:
        read_profiles("drfuse.toml")
    assert caught.value.path == "drfuse.toml"
    assert message in caught.value.message
    assert caught.value.hint


def test_where_a_profile_is_looked_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_profile(None) is None
    with pytest.raises(DrfuseError, match=r"there is no drfuse\.toml here or in a folder above"):
        find_profile("r")
    rig("steps = 2")
    (here / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(here / "a" / "b")
    found = find_profile("r")
    assert found is not None
    assert found.path == str(Path("..", "..", "drfuse.toml"))
    assert find_profile(None) is None  # it names no default
    write("profile = 'q'\n[profiles.q]\nsteps = 5\n")
    nearest = find_profile(None)
    assert nearest is not None
    assert nearest.settings == {"steps": 5}
    assert find_profile("none") is None
    assert find_profile(None, automatic=False) is None
    assert find_profile("../../drfuse.toml") == find_profile("../../drfuse.toml:r") == found
    with pytest.raises(DrfuseError, match=r"a\.toml: no such file"):
        find_profile("a.toml")
    write("[profiles.one]\n[profiles.two]\n", "b.toml")
    with pytest.raises(DrfuseError, match="holds 2 profiles"):
        find_profile("b.toml")
    with pytest.raises(DrfuseError, match="did you mean two"):
        find_profile("b.toml:tow")


# ---- text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "motion", [None, FixedMotion(2, (1.5, -2.0)), FixedMotion(1, HOMOGRAPHY, (64, 48))]
)
def test_a_profile_is_read_as_it_was_written(here: Path, motion: FixedMotion | None) -> None:
    first = SourceProfile('o"d\\d\x7f\té', 3.0, ((20, 1.0), (120, 2.0)), 0.5, 4, None, Margins(1))
    profile = Profile("r", "p.toml", {"task": "medical"}, (first, SourceProfile("b", 1.0)), motion)
    with pytest.raises(DrfuseError, match="one source has sr_scale"):
        read_profiles(write(render(profile), "p.toml"))
    sources = (first, SourceProfile("b", 1.0, sr_scale=1))
    profile = Profile("r", "p.toml", {"task": "medical"}, sources, motion)
    write(render(profile, {"source1.noise_std": "measured"}), "p.toml")
    assert "noise_std = 3.0  # measured\n" in Path("p.toml").read_text()
    assert read_profiles("p.toml")["r"] == profile


def test_one_profile_is_replaced_and_the_rest_stays(here: Path) -> None:
    text = "# mine\n[profiles.a]\nsteps = 1 # one\n\n[profiles.r]\n# old\nsteps = 2\n"
    text += "[profiles.r.source1]\nnoise_std = 1\nnoise_curve = [\n[1, 2],\n[3, 4],\n]\n"
    text += '[profiles."b"]\nsteps = 3\n'
    replaced = put(text, Profile("r", "p.toml", {"steps": 9}))
    assert replaced == (
        '# mine\n[profiles.a]\nsteps = 1 # one\n\n[profiles."b"]\nsteps = 3\n\n'
        "[profiles.r]\nsteps = 9\n"
    )
    with pytest.raises(DrfuseError, match="cannot be put in its place"):
        put("profiles = {r = {steps = 2}}\n", Profile("r", "p.toml", {"steps": 9}))


# ---- fuse ---------------------------------------------------------------------------------------


def test_without_a_file_nothing_changes(drfuse: Cli, engine: type[FakeEngine]) -> None:
    done = drfuse(*FUSE, "--degrade", "noise")
    assert "profile" not in done.err
    document = json.loads(Path("out.png.json").read_bytes())
    assert document["profile"] is document["crop"] is None
    assert document["operators"][0]["origin"]["noise_std"] == "preset"


def test_a_profile_fills_what_flags_leave(drfuse: Cli, engine: type[FakeEngine]) -> None:
    rig("steps = 2", "source1.noise_std = 4.5", "source2.blur_sigma = 1.25", "source2.noise_std=1")
    done = drfuse(*FUSE, "--profile", "r", "--json")
    assert "profile r (drfuse.toml): steps 2, noise, blur" in done.err
    assert "noise std 4.5 (from the profile)" in done.err
    document = json.loads(done.out)
    assert document["profile"] == {"name": "r", "path": "drfuse.toml"}
    assert document["steps"] == 2
    first, second = document["operators"]
    assert (first["noise_std"], first["origin"]["noise_std"]) == (4.5, "profile")
    assert first["origin"]["blur_sigma"] != "profile"
    assert (second["blur_sigma"], second["origin"]["blur_sigma"]) == (1.25, "profile")


def test_flags_win(drfuse: Cli, engine: type[FakeEngine]) -> None:
    rig("steps = 2", "degrade = 'blur'", "source1.noise_std = 4.5", "source2.noise_std = 1.5")
    flags = ("--profile", "r", "--noise-std", "7", "--steps", "1")
    done = drfuse(*FUSE, *flags)
    assert "profile r (drfuse.toml): degrade blur\n" in done.err
    first, second = told(engine)
    assert (first.noise_std, first.origin["noise_std"]) == (7, "flag")
    assert second.noise_std == 7
    assert first.blur_sigma == 2  # of the preset that the profile names
    assert engine.calls[-1][0].steps == 1
    # A preset that is typed says it all.
    drfuse(*FUSE, "--profile", "r", "--degrade", "none")
    assert [(one.noise_std, one.blur_sigma) for one in told(engine)] == [(0, 0), (0, 0)]


def test_a_sigma_takes_the_place_of_a_point_spread_function(
    drfuse: Cli, engine: type[FakeEngine]
) -> None:
    np.save("psf.npy", np.ones((3, 3)))
    rig("source1.psf = 'psf.npy'", "source2.blur_sigma = 2")
    drfuse(*FUSE, "--profile", "r", "--noise-std", "1")
    first, second = told(engine)
    assert (first.psf_name, first.origin["psf"]) == ("psf.npy", "profile")
    assert second.blur_sigma == 2
    drfuse(*FUSE, "--profile", "r", "--noise-std", "1", "--blur-sigma", "0.5,0")
    first, second = told(engine)
    assert (first.psf, first.blur_sigma, second.blur_sigma) == (None, 0.5, 0)


def test_the_default_profile_and_none(drfuse: Cli, engine: type[FakeEngine]) -> None:
    write("profile = 'r'\n[profiles.r]\nsource1.noise_std = 4.5\nsource2.noise_std = 1\n")
    assert "profile r" in drfuse(*FUSE).err
    assert told(engine)[0].noise_std == 4.5
    assert "profile" not in drfuse(*FUSE, "--profile", "none").err
    assert told(engine)[0].origin["noise_std"] != "profile"
    done = drfuse(*FUSE, "--profile", "s", code=2)
    assert "drfuse.toml: has no profile 's'" in done.err
    write("[profiles.r]\nstep = 2\n")
    assert "profiles.r.step: unknown key" in drfuse(*FUSE, code=2).err


def test_json_on_stderr_is_not_disturbed(drfuse: Cli, engine: type[FakeEngine]) -> None:
    rig("steps = 2")
    done = drfuse("fuse", "ir.png", "vis.png", "-o", "-", "--json", "--profile", "r")
    assert json.loads(done.err)["profile"]["name"] == "r"


# ---- crop and motion --------------------------------------------------------------------------


def moved(right: int, down: int, size: tuple[int, int] = (24, 32)) -> tuple[Image, Image]:
    """One scene twice, the first time so far right and down."""
    scene = noise(size[0] + 16, size[1] + 16).pixels
    rows, columns = (slice(8 - n, 8 - n + m) for n, m in zip((down, right), size, strict=True))
    return Image(scene[rows, columns].copy()), Image(scene[8 : 8 + size[0], 8 : 8 + size[1]].copy())


def test_a_fixed_motion_is_undone_without_a_look(drfuse: Cli, engine: type[FakeEngine]) -> None:
    first, second = moved(3, -2)
    save(Path("ir.png"), first)
    save(Path("vis.png"), second)
    rig("motion = {source = 1, shift = [3, -2], size = [32, 24]}")
    done = drfuse(*FUSE, "--profile", "r", "--save-sources", "s")
    assert "source 1 always lies 3.0 pixels right and 2.0 up and was moved onto" in done.err
    restored = read_image("s/source1.png").pixels
    assert (restored[2:, :-3] == second.pixels[2:, :-3]).all()
    document = json.loads(Path("out.png.json").read_bytes())
    assert document["registration"]["found"] is None
    assert document["registration"]["mode"] == "fixed"
    # Typed flags take its place.
    drfuse(*FUSE, "--profile", "r", "--save-sources", "s", "--register", "none")
    assert (read_image("s/source1.png").pixels == first.pixels).all()
    drfuse(*FUSE, "--profile", "r", "--save-sources", "s", "--motion", "1:0,0")
    assert (read_image("s/source1.png").pixels == first.pixels).all()
    done = drfuse(*FUSE, "--motion", "1:3,-2", "--register", "translation", code=2)
    assert "--motion and --register translation contradict each other" in done.err
    save(Path("vis.png"), noise(48, 64))
    done = drfuse(*FUSE, "--profile", "r", code=2)
    assert "measured at 32x24 pixels, and this pair makes 64x48" in done.err


def test_a_homography_moves_either_source(here: Path) -> None:
    first, second = moved(0, 0, (64, 80))
    save(Path("ir.png"), first)
    save(Path("vis.png"), second)
    turned = parse_motion("2:1,0,4,0,1,-3,0,0,1")
    shifted = parse_motion("2:4,-3")
    found = [
        read_sources(("ir.png", "vis.png"), told_of(motion=motion)) for motion in (turned, shifted)
    ]
    assert all((one.images[0].pixels == first.pixels).all() for one in found)
    one, other = (one.images[1].pixels[8:-8, 8:-8] for one in found)
    assert (one == other).all()
    assert not (one == second.pixels[8:-8, 8:-8]).all()


def told_of(**of_rig: Any) -> Assumptions:
    from drfuse_cli.rig import Rig

    return Assumptions("ivif", "none", Overrides(), rig=Rig(**of_rig))


def test_a_crop_comes_first(drfuse: Cli, engine: type[FakeEngine]) -> None:
    rig("source1.crop = [4, 2, 0, 6]", "source2.crop = [2, 4, 2, 4]")
    drfuse(*FUSE, "--profile", "r", "--save-sources", "s", "--degrade", "none")
    first, second = (read_image(name).pixels for name in ("ir.png", "vis.png"))
    assert (read_image("s/source1.png").pixels == first[2:18, 4:]).all()
    assert (read_image("s/source2.png").pixels == second[4:20, 2:30]).all()
    document = json.loads(Path("out.png.json").read_bytes())
    assert document["crop"] == [[4, 2, 0, 6], [2, 4, 2, 4]]
    assert (document["inputs"][0]["width"], document["inputs"][0]["height"]) == (32, 24)
    assert document["output"]["width"] == 28
    done = drfuse(*FUSE, "--crop", "16,0,16,0", code=2)
    assert "ir.png: nothing of 32x24 pixels is left" in done.err


def test_a_sidecar_repeats_a_profile(drfuse: Cli, engine: type[FakeEngine]) -> None:
    rig(
        "steps = 2", "source1 = {noise_std = 2, crop = [0, 0, 4, 2]}",
        "source2 = {blur_sigma = 1, crop = [4, 2, 0, 0]}", "motion = {source = 2, shift = [2, 1]}",
    )  # fmt: skip
    document = json.loads(drfuse(*FUSE, "--profile", "r", "--json", "--save-sources", "s").out)
    write("profile = 'r'\n[profiles.r]\nsource1.crop = [1, 1, 1, 1]\n")
    command, *words = arguments(document, "again.png")
    drfuse(command, "--save-sources", "t", *words)
    for name in ("source1.png", "source2.png"):
        assert Path("t", name).read_bytes() == Path("s", name).read_bytes()
    assert engine.calls[0][1] == engine.calls[1][1]
    again = json.loads(Path("again.png.json").read_bytes())
    assert again["profile"] is None
    assert again["crop"] == document["crop"]
    assert again["registration"] == document["registration"]


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,-4", "1,2,3,4,5,6,7", "a,b,c,d", "1,2,3,4.5"])
def test_crops_that_are_none(text: str) -> None:
    with pytest.raises(DrfuseError, match="--crop is"):
        parse_crop(text)


@pytest.mark.parametrize(
    ("text", "lack"),
    [
        ("3,4", "begins with 1: or 2:"), ("3:1,2", "begins with"), ("1:1", "1 numbers, not 2 or 9"),
        ("1:1,nan", "too large"), ("1:1,x", "could not convert"),
        ("2:0,0,0,0,0,0,0,0,1", "cannot be undone"),
    ],
)  # fmt: skip
def test_motions_that_are_none(text: str, lack: str) -> None:
    with pytest.raises(DrfuseError, match=lack):
        parse_motion(text)
    assert parse_crop("1,2,3,4")[1] == Margins(1, 2, 3, 4)
    assert parse_motion(FixedMotion(2, HOMOGRAPHY).text) == FixedMotion(2, HOMOGRAPHY)


def test_volumes_are_not_cropped(drfuse: Cli, engine: type[FakeEngine]) -> None:
    words = ("fuse", "ir.png", "vis.png", "-o", "out.nii.gz", "--task", "medical")
    assert "a crop is not for DICOM" in drfuse(*words, "--crop", "1,1,1,1", code=2).err
    assert "a motion is not for DICOM" in drfuse(*words, "--motion", "1:1,1", code=2).err


# ---- noise by level ---------------------------------------------------------------------------

CURVE = ((50.0, 1.0), (150.0, 3.0))


@pytest.mark.parametrize(("level", "std"), [(0, 1), (50, 1), (100, 2), (150, 3), (250, 3)])
def test_a_curve_is_read_off_at_the_median(here: Path, level: int, std: float) -> None:
    pixels = np.full((24, 32), level, np.uint8)
    pixels[:4] = 255 - level
    save(Path("ir.png"), Image(pixels))
    save(Path("vis.png"), noise(24, 32))
    overrides = Overrides(noise_std=(9.0, 1.0), noise_curve=(CURVE, None))
    told = Assumptions("ivif", "none", overrides)
    first, second = read_sources(("ir.png", "vis.png"), told).degradations
    assert (first.noise_std, first.origin["noise_std"]) == (std, "profile")
    assert second.noise_std == 1
    # All frames of a sequence have one.
    both = (Pair("1", Path("ir.png"), Path("vis.png")),)
    common = settled(told, both)
    assert common.settled is not None
    assert common.settled[0].noise_std == std


def test_noise_by_flag_leaves_the_curve(drfuse: Cli, engine: type[FakeEngine]) -> None:
    rig("source1 = {noise_std = 3, noise_curve = [[0, 1], [255, 1]]}", "source2.noise_std = 2")
    drfuse(*FUSE, "--profile", "r")
    assert [one.noise_std for one in told(engine)] == [1, 2]
    drfuse(*FUSE, "--profile", "r", "--noise-std", "8")
    assert [one.noise_std for one in told(engine)] == [8, 8]


# ---- batch and others -------------------------------------------------------------------------

ROLES = "source1.role = {!r}\nsource2.role = {!r}".format


@pytest.mark.parametrize(
    ("roles", "files"),
    [
        (("Left", "right"), ("left/1.png", "right/1.png")),
        (("l", "r"), ("1_l.png", "1_R.png")),
        (("cam_*_L", "cam_*_R"), ("cam_1_L.tif", "cam_1_R.png")),
        (("T*.tif", "V*.png"), ("T1.tif", "V1.png")),
        (("*_v", "*"), ("1_v.png", "1.png")),
    ],
)
def test_roles_of_a_rig(here: Path, roles: tuple[str, str], files: tuple[str, str]) -> None:
    for number, file in enumerate(files):
        save(Path("set", file), noise(8, 8, seed=number))
    (pair,) = find_pairs(Path("set"), "ivif", roles=roles)
    assert pair == Pair("1", Path("set", files[0]), Path("set", files[1]))
    with pytest.raises(DrfuseError, match="no pairs of x and y found"):
        find_pairs(Path("set"), "ivif", roles=("x", "y"))
    Path("set", files[1]).unlink()
    with pytest.raises(DrfuseError):
        find_pairs(Path("set"), "ivif", roles=roles)


def test_batch_follows_and_resumes_a_profile(drfuse: Cli, here: Path) -> None:
    weights = make_weights(here / "w.safetensors")
    for name in ("1", "2"):
        save(Path("set", "left", f"{name}.png"), noise(24, 32))
        save(Path("set", "right", f"{name}.png"), noise(24, 32, colour=True, seed=1))
    words = ("batch", "set", "-o", "out", "--profile", "r", "--workers", "1")
    same = ("device = 'cpu'", "steps = 1", f"weights = '{weights.name}'")
    same = (*same, "source1.noise_std = 4", "source2.noise_std = 2", ROLES("left", "right"))
    rig(*same)
    done = drfuse(*words)
    assert "profile r (drfuse.toml): device cpu, steps 1, weights w.safetensors, noise" in done.err
    first = lines(Path("out"))[0]
    assert first["profile"] == {"name": "r", "path": "drfuse.toml"}
    assert first["operators"][0]["origin"]["noise_std"] == "profile"
    drfuse(*words, "--resume")
    rig(*same, "source1.crop = [0, 0, 4, 4]", "source2.crop = [0, 0, 4, 4]")
    assert "had another crop: null, now" in drfuse(*words, "--resume", code=2).err
    rig(*same, "motion = {source = 1, shift = [1, 2]}")
    assert 'had another motion: null, now "1:1.0,2.0"' in drfuse(*words, "--resume", code=2).err
    rig(*same[:3], "source1.noise_std = 5", "source2.noise_std = 2", ROLES("left", "right"))
    assert "had another noise_std: [4.0, 2.0]" in drfuse(*words, "--resume", code=2).err
    # The same by flags is the same.
    flags = ("--noise-std", "4,2")
    drfuse(*words, "--resume", *flags)
    # A fixed motion goes with sequences, and what made these is named first.
    rig(*same, "motion = {source = 1, shift = [1, 2]}")
    drfuse(*words, "--overwrite", "--sequence")
    assert lines(Path("out"))[0]["registration"]["applied"]["shift"] == [1, 2]
    assert "had another sequence: true, now false" in drfuse(*words, "--resume", code=2).err


def test_videos_are_cropped_and_moved(drfuse: Cli, here: Path) -> None:
    pytest.importorskip("av", reason="needs pip install 'drfuse[video]'")
    from video_support import make_video, read_video

    weights = make_weights(here / "w.safetensors")
    size, off = (24, 32), (3, -2)
    first, second = moved(*off, size)
    make_video(Path("ir.mkv"), [first.pixels] * 3)
    make_video(Path("vis.mkv"), [second.pixels] * 3)
    save(Path("ir.png"), first)
    save(Path("vis.png"), second)
    rig(
        "device = 'cpu'", "steps = 1", f"weights = '{weights.name}'", "degrade = 'noise'",
        "source1.crop = [2, 2, 2, 2]", "source2.crop = [2, 2, 2, 2]",
        f"motion = {{source = 1, shift = {list(off)}, size = [28, 20]}}",
    )  # fmt: skip
    words = ("batch", "ir.mkv", "vis.mkv", "-o", "out.mkv", "--codec", "ffv1", "--profile", "r")
    document = json.loads(drfuse(*words, "--json", "--save-sources", "s").out)
    assert document["profile"]["name"] == "r"
    assert document["registration"]["applied"]["shift"] == list(off)
    assert (document["output"]["width"], document["inputs"][0]["width"]) == (28, 32)
    drfuse("fuse", "ir.png", "vis.png", "-o", "one.png", "--profile", "r", "--save-sources", "t")
    for frame in read_video(Path("out.mkv"), "gray"):
        assert (frame == read_image("one.png").pixels).all()
    restored = read_video(Path("s/source1.mkv"), "gray")[0]
    assert (restored == read_image("t/source1.png").pixels).all()
    drfuse(*arguments(document, "again.mkv"))
    first, again = (read_video(Path(name), "gray") for name in ("out.mkv", "again.mkv"))
    assert np.array_equal(first, again)


def test_degrade_and_eval_follow_only_what_is_asked_for(
    drfuse: Cli, engine: type[FakeEngine]
) -> None:
    save(Path("set/ir/1.png"), noise(24, 32))
    save(Path("set/vis/1.png"), noise(24, 32, seed=1))
    write("profile = 'r'\n[profiles.r]\nsource1.noise_std = 4\nsource2.noise_std = 2\n")
    words = ("degrade", "set", "--overwrite", "-o")
    assert "nothing says how to degrade" in drfuse(*words, "a", code=2).err
    assert "profile r" in drfuse(*words, "a", "--profile", "r").err
    drfuse(*words, "b", "--noise-std", "4,2")
    assert Path("a/ir/1.png").read_bytes() == Path("b/ir/1.png").read_bytes()
    done = drfuse("eval", "set", "--metrics", "EN", "--json", "--profile", "r", "--workers", "1")
    assert "noise std 4 (from the profile)" in done.err
    assert "profile" not in drfuse("eval", "set", "--metrics", "EN", "--degrade", "noise").err


def test_doctor_names_the_file(here: Path) -> None:
    assert [check.detail for check in _profiles()] == ["no drfuse.toml here or in a folder above"]
    write(FULL)
    (check,) = _profiles()
    assert check.status == "ok"
    assert check.detail == "drfuse.toml: my-rig, other; other is used without --profile"
    write("[profiles.r]\nstep = 1\n")
    (check,) = _profiles()
    assert (check.status, "profiles.r.step" in check.detail) == ("failed", True)
