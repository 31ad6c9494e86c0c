"""Pairing: by name only, inside the root, the same on every run."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from drfuse_cli.config import TASKS, Pair
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.pairs import ROLES, find_pairs, is_image, natural_key, role_folders

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make empty files under a root; pairing looks at names only."""

    def make(*names: str) -> Path:
        root = tmp_path / "set"
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return root

    return make


def names(pairs: list[Pair]) -> list[str]:
    return [pair.name for pair in pairs]


def files(pairs: list[Pair], root: Path) -> list[tuple[str, str]]:
    return [
        (pair.source1.relative_to(root).as_posix(), pair.source2.relative_to(root).as_posix())
        for pair in pairs
    ]


def refusal(root: Path, task: str = "ivif", allow_unpaired: bool = False) -> DrfuseError:
    with pytest.raises(DrfuseError) as caught:
        find_pairs(root, task, allow_unpaired)
    assert caught.value.code is ExitCode.USAGE
    assert caught.value.hint
    return caught.value


def test_every_task_has_roles() -> None:
    assert tuple(ROLES) == TASKS


FOLDERS = [
    (task, one, two)
    for task, (first, second) in ROLES.items()
    for one in first
    for two in second
    if one != two
]


@pytest.mark.parametrize(("task", "one", "two"), FOLDERS)
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_folders_of_the_contract_in_any_case(
    tree: Tree, task: str, one: str, two: str, case: Callable[[str], str]
) -> None:
    one, two = case(one), case(two)
    root = tree(f"{one}/a.png", f"{two}/a.png", "reference/a.png", "readme.txt")
    assert role_folders(root, task) == (root / one, root / two)
    assert find_pairs(root, task) == [Pair("a", root / one / "a.png", root / two / "a.png")]


@pytest.mark.parametrize(("task", "one", "two"), FOLDERS)
@pytest.mark.parametrize("separator", ["_", "-"])
def test_suffixes_in_one_folder(tree: Tree, task: str, one: str, two: str, separator: str) -> None:
    first, second = f"sub/x{separator}{one}.png", f"sub/x{separator}{two.upper()}.tif"
    root = tree(first, second, "sub/x.png")
    assert role_folders(root, task) is None
    assert find_pairs(root, task) == [Pair("sub/x", root / first, root / second)]


def test_mri_changes_its_role_beside_ct_even_scene_by_scene(tree: Tree) -> None:
    root = tree("p_mri.png", "p_pet.png", "q_mri.png", "q_ct.png")
    assert files(find_pairs(root, "medical"), root) == [
        ("p_mri.png", "p_pet.png"),
        ("q_ct.png", "q_mri.png"),
    ]


def test_pairs_by_relative_stem_not_by_position(tree: Tree) -> None:
    root = tree("ir/day/1.png", "ir/night/1.jpg", "vis/night/1.bmp", "vis/day/1.webp")
    assert files(find_pairs(root, "ivif"), root) == [
        ("ir/day/1.png", "vis/day/1.webp"),
        ("ir/night/1.jpg", "vis/night/1.bmp"),
    ]


def test_equal_counts_with_different_names_do_not_pair(tree: Tree) -> None:
    error = refusal(tree("ir/1.png", "ir/2.png", "vis/2.png", "vis/3.png"))
    assert "ir/1.png" in error.message
    assert "vis/3.png" in error.message
    assert "2.png" not in error.message.replace("ir/1.png", "")
    assert "--allow-unpaired" in str(error)


def test_allow_unpaired_skips_orphans_only(tree: Tree) -> None:
    root = tree("ir/1.png", "ir/2.png", "vis/2.png", "vis/3.png")
    assert names(find_pairs(root, "ivif", allow_unpaired=True)) == ["2"]
    root = tree("vis/2.jpg")
    assert "vis/2.jpg = vis/2.png" in refusal(root, allow_unpaired=True).message


def test_allow_unpaired_without_any_pair_is_an_error(tree: Tree) -> None:
    root = tree("ir/1.png", "vis/2.png")
    assert "no file name in common" in str(refusal(root, allow_unpaired=True))


@pytest.mark.parametrize("extra", ["x_ir.jpg", "x-ir.png", "x_thermal.png", "x_IR.png"])
def test_two_files_for_one_role_are_named(tree: Tree, extra: str) -> None:
    error = refusal(tree("x_ir.png", "x_vis.png", extra), allow_unpaired=True)
    assert "x_ir.png" in error.message
    assert extra in error.message
    assert "x_vis" not in error.message


@pytest.mark.parametrize(
    ("task", "folders"),
    [("ivif", "ir IR vis"), ("ivif", "ir vis rgb"), ("medical", "mri ct pet"),
     ("medical", "mri pet spect"), ("multifocus", "near far a b")],
)  # fmt: skip
def test_two_folders_for_one_role_are_named(tree: Tree, task: str, folders: str) -> None:
    root = tree(*(f"{folder}/x.png" for folder in folders.split()))
    error = refusal(root, task)
    assert "several folders" in error.message
    assert sum(folder in error.message.split(": ")[1].split(", ") for folder in folders.split()) > 1


def test_natural_order(tree: Tree) -> None:
    stems = ["f1", "f2", "f10", "F11", "a/9", "a/10", "a2/1", "a10/1", "02", "2"]
    shuffled = random.Random(0).sample(stems, len(stems))
    root = tree(*(f"{role}/{stem}.png" for stem in shuffled for role in ("vis", "ir")))
    expected = ["02", "2", "a/9", "a/10", "a2/1", "a10/1", "f1", "f2", "f10", "F11"]
    assert names(find_pairs(root, "ivif")) == expected


def test_order_does_not_depend_on_the_file_system(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(*(f"{role}/{n}.png" for n in range(12) for role in ("ir", "vis")))
    expected = find_pairs(root, "ivif")
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(sorted(listed(path))))
    assert find_pairs(root, "ivif") == expected
    assert names(expected) == [str(n) for n in range(12)]


def test_natural_key_is_a_total_order() -> None:
    keys = ["a1", "A1", "a01", "1a", "a", "", "a/b", "1/2", "²", "٣"]
    ordered = sorted(keys, key=natural_key)
    assert sorted(reversed(keys), key=natural_key) == ordered
    assert len({natural_key(key)[1] for key in keys}) == len(keys)


def test_only_images_count(tree: Tree) -> None:
    root = tree("ir/x.png", "vis/x.png", "ir/Thumbs.db", "ir/x.txt", "ir/._x.png", "vis/.hid/x.png")
    assert names(find_pairs(root, "ivif")) == ["x"]
    for suffix in ("png", "JPG", "jpeg", "bmp", "tif", "TIFF", "webp"):
        assert is_image(Path(f"x.{suffix}"))
    for name in ("x.gif", "x.npy", "png", "x.png.part"):
        assert not is_image(Path(name))


def test_dots_brackets_and_other_scripts_in_names(tree: Tree) -> None:
    stems = ["x.tar", "a[1]", "été", "x y", "$(id)", "-o"]
    root = tree(*(f"{role}/{stem}.png" for stem in stems for role in ("ir", "vis")))
    assert set(names(find_pairs(root, "ivif"))) == set(stems)


def test_a_name_that_is_not_utf8(tree: Tree) -> None:
    root = tree("ir/x.png", "vis/x.png")
    raw = b"caf\xe9.png"
    try:
        for role in (b"ir", b"vis"):
            Path(os.fsdecode(os.path.join(os.fsencode(root), role, raw))).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert [os.fsencode(name) for name in names(find_pairs(root, "ivif"))] == [b"caf\xe9", b"x"]


def test_suffix_needs_a_name_before_it_and_ascii_letters(tree: Tree) -> None:
    root = tree("_ir.png", "_vis.png", "vis.png", "y_vi\u017f.png", "z_ir.png", "z_vis.png")
    assert names(find_pairs(root, "ivif")) == ["z"]


def test_orphan_by_suffix_is_named(tree: Tree) -> None:
    error = refusal(tree("x_ir.png", "x_vis.png", "y_vis.png", "z.png"))
    assert error.message == "no partner for y_vis.png"


def test_long_lists_are_cut(tree: Tree) -> None:
    root = tree("vis/x.png", *(f"ir/{n}.png" for n in range(50)))
    message = refusal(root).message
    assert "ir/2.png, ir/3.png" in message
    assert message.endswith("and 31 more")


def test_a_single_role_folder_pairs_by_suffix(tree: Tree) -> None:
    root = tree("x_ir.png", "x_vis.png", "vis/plot.png")
    assert names(find_pairs(root, "ivif")) == ["x"]


def test_nothing_found_says_what_was_looked_for(tree: Tree) -> None:
    error = refusal(tree("ir/x.png", "colour/x.png"))
    assert error.path is not None
    assert "ir or infrared" in str(error)
    assert "x_vis.png" in str(error)


def test_nothing_found_names_the_task_that_fits(tree: Tree) -> None:
    assert "--task medical" in str(refusal(tree("mri/x.png", "pet/x.png")))


def test_missing_root_file_root_and_unknown_task(tree: Tree) -> None:
    root = tree("ir/x.png", "vis/x.png")
    assert "no such folder" in refusal(root / "nowhere").message
    assert "this is a file" in refusal(root / "ir" / "x.png").message
    assert "ivif, medical" in str(refusal(root, "audio"))


def test_unreadable_folder(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    root = tree("ir/x.png")
    monkeypatch.setattr(Path, "iterdir", deny)
    with pytest.raises(DrfuseError, match="Permission denied") as caught:
        find_pairs(root, "ivif")
    assert caught.value.code is ExitCode.ENVIRONMENT


class TestLinks:
    @pytest.mark.parametrize("target", ["file", "folder", "role"])
    def test_out_of_the_root_is_refused(self, tree: Tree, tmp_path: Path, target: str) -> None:
        root = tree("ir/x.png", "vis/x.png")
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "y.png").touch()
        link, aim = {
            "file": (root / "ir" / "y.png", outside / "y.png"),
            "folder": (root / "ir" / "sub", outside),
            "role": (root / "vis", outside),
        }[target]
        if target == "role":
            (root / "vis" / "x.png").unlink()
            (root / "vis").rmdir()
        link.symlink_to(aim)
        error = refusal(root, allow_unpaired=True)
        assert "leads out of" in error.message
        assert error.path == str(link)

    def test_a_sibling_with_the_same_beginning_is_outside(self, tree: Tree, tmp_path: Path) -> None:
        root = tree("ir/x.png", "vis/x.png")
        (tmp_path / "settle.png").touch()
        (root / "ir" / "y.png").symlink_to("../../settle.png")
        assert "leads out of" in refusal(root).message

    def test_inside_the_root_is_followed(self, tree: Tree) -> None:
        root = tree("raw/x.png", "raw/more/y.png", "vis/x.png", "vis/more/y.png")
        (root / "ir").symlink_to("raw")
        assert files(find_pairs(root, "ivif"), root) == [
            ("ir/more/y.png", "vis/more/y.png"),
            ("ir/x.png", "vis/x.png"),
        ]

    def test_a_root_that_is_a_link_is_fine(self, tree: Tree, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(tree("ir/x.png", "vis/x.png"))
        assert files(find_pairs(link, "ivif"), link) == [("ir/x.png", "vis/x.png")]

    def test_a_loop_is_refused(self, tree: Tree) -> None:
        root = tree("ir/x.png", "vis/x.png")
        (root / "ir" / "again").symlink_to(root / "ir")
        assert "leads back" in refusal(root).message

    def test_a_broken_link_is_refused(self, tree: Tree) -> None:
        root = tree("ir/x.png", "vis/x.png")
        (root / "ir" / "y.png").symlink_to("gone.png")
        assert "leads nowhere" in refusal(root, allow_unpaired=True).message
