"""Registration: known misalignments are found and undone; what is aligned or unrelated stays."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from batch_support import lines, make_weights
from cli_support import Cli, FakeEngine, save, use_fake_engine

from drfuse_cli.config import Degradation, Task, preset
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.cases import clean_pairs, make_case
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.operators.simulate import degrade_image
from drfuse_cli.registration import Registration, align, apply, register
from drfuse_cli.registration.finding import Finding
from drfuse_cli.registration.motion import (
    Matrix,
    Motion,
    corners_of,
    resized,
    shift_matrix,
    transform,
    translation,
)
from drfuse_cli.registration.search import View, look
from drfuse_cli.registration.structure import (
    agreement,
    block_sums,
    correlation,
    significance,
    structure,
)
from drfuse_cli.scenes import render

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

Images = tuple[Image, Image]
CLEAN = Degradation(), Degradation()
MARGIN = 32


@lru_cache
def scene(name: str = "drone", width: int = 448, height: int = 384) -> Images:
    return render(name, width, height)


def inside(image: Image, right: int = 0, down: int = 0) -> Image:
    """The image without a margin, its scene moved right and down by whole pixels."""
    rows = slice(MARGIN - down, image.height - MARGIN - down)
    columns = slice(MARGIN - right, image.width - MARGIN - right)
    return Image(np.ascontiguousarray(image.pixels[rows, columns]))


def misaligned(right: int, down: int, images: Images | None = None) -> Images:
    """An infrared image that lies so far right and down of the visible one."""
    infrared, visible = scene() if images is None else images
    return inside(infrared, right, down), inside(visible)


def warped(matrix: Matrix) -> Images:
    """An infrared image that lies as ``matrix`` says (on the image without its margin)."""
    infrared, visible = scene()
    about = shift_matrix(MARGIN, MARGIN) @ matrix @ shift_matrix(-MARGIN, -MARGIN)
    size = infrared.width, infrared.height
    pixels = cv2.warpPerspective(infrared.pixels, about, size, flags=cv2.INTER_LANCZOS4)
    return inside(Image(pixels)), inside(visible)


def said(images: Images, mode: str = "auto", task: Task = "ivif", degraded=CLEAN) -> Registration:
    found = register(images, degraded, task, mode)[2]
    assert found is not None
    return found


def distance(motion: Motion | None, matrix: Matrix) -> float:
    """The mean distance in pixels between where a motion and a matrix take the image."""
    assert motion is not None
    lines = [np.linspace(0, n - 1, 5) for n in motion.shape[::-1]]
    points = np.stack(np.meshgrid(*lines), -1).reshape(-1, 2)
    apart = transform(motion.matrix, points) - transform(matrix, points)
    return float(np.linalg.norm(apart, axis=1).mean())


def plane(seed: int, shape: tuple[int, int] = (90, 120), smooth: float = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.random(shape, dtype=np.float32), (0, 0), smooth)


# ---- edges and their agreement ------------------------------------------------------------------


def test_structure_is_blind_to_contrast_and_its_reversal() -> None:
    one = structure(plane(0))
    np.testing.assert_allclose(structure(0.7 - 0.2 * plane(0)), one, atol=1e-3)
    assert np.abs(one - structure(plane(1))).max() > 0.5


def test_structure_tells_how_edges_run() -> None:
    ramp = np.tile(np.arange(40, dtype=np.float32), (40, 1))
    middle = structure(ramp)[20, 20], structure(ramp.T.copy())[20, 20]
    assert middle[0].real > 0.5 > -0.5 > middle[1].real
    assert np.abs(structure(ramp)[:3]).max() == 0


@pytest.mark.parametrize("offset", [(0, 0), (7, -3), (-11, 11), (5, 9)])
def test_the_correlation_is_the_sum_of_the_agreement(offset: tuple[int, int]) -> None:
    one, two = structure(plane(0)), structure(plane(1))
    surface = correlation(one, two, 11)
    assert surface.shape == (23, 23)
    direct = float(agreement(one, two, 11, offset).sum())
    assert surface[11 + offset[0], 11 + offset[1]] == pytest.approx(direct, abs=1e-3)


def test_block_sums_add_up() -> None:
    sums = block_sums(np.arange(12 * 18, dtype=np.float32).reshape(12, 18)[:, :17], 6)
    assert sums.shape == (4,)
    assert sums[1] == np.arange(12 * 18).reshape(12, 18)[:6, 6:12].sum()


def test_significance_counts_blocks() -> None:
    assert significance(np.full(16, 0.3)) == pytest.approx(4)
    assert significance(np.array([3.0, 0, 0, 0])) == pytest.approx(1)
    assert significance(np.array([1.0, -1.0])) == 0
    assert significance(np.zeros(4)) == 0


# ---- motions ------------------------------------------------------------------------------------


def test_a_motion_on_another_grid_covers_the_same_scene() -> None:
    turned = np.vstack([cv2.getRotationMatrix2D((99.5, 49.5), 5, 1.1), [0, 0, 1]])
    small = resized(turned, (100, 200), (25, 50))
    # Borders of the image, not middles of its pixels, scale alike.
    points = np.array([[10.0, 20], [150, 70]])
    expected = (transform(turned, points) + 0.5) / 4 - 0.5
    np.testing.assert_allclose(transform(small, (points + 0.5) / 4 - 0.5), expected)
    np.testing.assert_allclose(resized(small, (25, 50), (100, 200)), turned, atol=1e-9)


def test_what_a_motion_says() -> None:
    motion = translation(6.3, -2, (60, 80))
    assert motion.shift == pytest.approx((6.3, -2))
    assert motion.largest == pytest.approx(np.hypot(6.3, 2))
    assert motion.in_words() == "6.3 pixels right and 2.0 up"
    # The scene comes back from the right and from above: there is nothing to come there.
    assert motion.rim == (0, 2, 7, 0)
    assert translation(-3, 4, (60, 80)).rim == (3, 0, 0, 4)
    zoom = np.vstack([cv2.getRotationMatrix2D((39.5, 29.5), 0, 1.1), [0, 0, 1]])
    spread = Motion("homography", zoom, (60, 80))
    assert spread.shift == pytest.approx((0, 0), abs=1e-9)
    assert spread.in_words().endswith("in the middle, 4.9 in the worst corner")
    assert spread.rim == (4, 3, 4, 3)
    assert Motion("homography", np.linalg.inv(zoom), (60, 80)).rim == (0, 0, 0, 0)


# ---- moving pixels ------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", [False, True])
def test_whole_pixels_keep_every_value(bits: int, colour: bool) -> None:
    rng = np.random.default_rng(0)
    shape = (40, 50, 3) if colour else (40, 50)
    image = Image(rng.integers(0, 2**bits, shape).astype(f"uint{bits}"), "a.png", "digest")
    moved = apply.undo(image, translation(5, -3, (40, 50)), 1)
    np.testing.assert_array_equal(moved.pixels[3:, :-5], image.pixels[:-3, 5:])
    np.testing.assert_array_equal(moved.pixels[3:, -5:], image.pixels[:-3, :-6:-1])
    np.testing.assert_array_equal(moved.pixels[:3, 0], image.pixels[2::-1, 5])
    assert (moved.path, moved.sha256, moved.bits) == ("a.png", "digest", bits)


def test_a_small_source_moves_by_parts_of_its_pixels() -> None:
    smooth = plane(3, (160, 200), smooth=6)
    fine = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    lying = Image(fine[8:-8, 2:-14])  # 6 pixels of the fused grid to the right of fine[8:-8, 8:-8]
    small = [degrade_image(one, Degradation(sr_scale=4), np.random.default_rng(0))
             for one in (lying, Image(fine[8:-8, 8:-8]))]  # fmt: skip
    moved = apply.undo(small[0], translation(6, 0, (144, 184)), 4)
    cut = np.s_[:, 4:-6]
    before, after = (
        np.abs(image.pixels[cut].astype(float) - small[1].pixels[cut]).mean()
        for image in (small[0], moved)
    )
    assert after < before / 10
    whole = apply.undo(small[0], translation(8, -4, (144, 184)), 4)
    np.testing.assert_array_equal(whole.pixels[1:, :-2], small[0].pixels[:-1, 2:])


def test_a_homography_is_undone() -> None:
    smooth = cv2.GaussianBlur(np.random.default_rng(0).random((120, 160)), (0, 0), 3)
    image = Image(cv2.normalize(smooth, None, 0, 65535, cv2.NORM_MINMAX).astype(np.uint16))
    turned = np.vstack([cv2.getRotationMatrix2D((79.5, 59.5), 4, 1.05), [0, 0, 1]])
    lying = cv2.warpPerspective(image.pixels, turned, (160, 120), flags=cv2.INTER_LANCZOS4)
    moved = apply.undo(Image(lying), Motion("homography", turned, (120, 160)), 1)
    assert moved.bits == 16
    error = moved.pixels[25:-25, 25:-25].astype(float) - image.pixels[25:-25, 25:-25]
    assert np.abs(error).max() < 0.01 * 65535


def test_what_cannot_be_warped_is_named() -> None:
    long = Image(np.zeros((2, 40000), np.uint8), "long.png")
    with pytest.raises(DrfuseError, match="too many to be warped") as caught:
        apply.undo(long, Motion("homography", np.diag([1.01, 1, 1]), (2, 40000)), 1)
    assert caught.value.path == "long.png"


def test_only_a_source_of_full_size_moves_by_whole_pixels() -> None:
    motion = translation(2.4, -3.6, (80, 80))
    assert apply.attainable(motion, 1).shift == pytest.approx((2, -4))
    assert apply.attainable(motion, 4) is motion
    free = Motion("homography", shift_matrix(2.4, 0), (80, 80))
    assert apply.attainable(free, 1) is free


# ---- known shifts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "down"), [(0, 3), (-4, 0), (6, 6), (-8, 12), (16, -1), (24, 0), (0, -24)]
)
def test_a_shift_is_found_and_undone(right: int, down: int) -> None:
    images = misaligned(right, down)
    moved, _, found = register(images, CLEAN, "ivif", "translation")
    assert found is not None
    assert found.finding is not None
    assert found.finding.misaligned
    assert found.applied is not None
    assert found.applied.shift == pytest.approx((right, down), abs=0.51)
    assert moved[1] is images[1]
    expected = inside(scene()[0]).pixels
    kept = np.s_[24:-24, 24:-24]
    if found.applied.shift == pytest.approx((right, down)):
        np.testing.assert_array_equal(moved[0].pixels[kept], expected[kept])
    assert found.warnings == ()


@pytest.mark.parametrize("name", ["noise", "blur", "composite"])
def test_a_shift_is_found_in_degraded_sources(name: str) -> None:
    degradations = preset("ivif", name)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    degraded = [
        degrade_image(image, degradation, rng)
        for image, degradation in zip(misaligned(-7, 10), degradations, strict=True)
    ]
    found = said((degraded[0], degraded[1]), "translation", degraded=degradations)
    assert distance(found.applied, shift_matrix(-7, 10)) < 1


def test_the_depth_does_not_matter() -> None:
    images = misaligned(5, -9)
    deep = tuple(Image(image.pixels.astype(np.uint16) * 257) for image in images)
    one, two = said(images), said((deep[0], deep[1]))
    assert one.finding is not None
    assert two.finding is not None
    np.testing.assert_allclose(two.finding.motion.matrix, one.finding.motion.matrix, atol=1e-3)


def test_contrast_reversal_does_not_matter() -> None:
    visible = scene()[1]
    negative = Image(255 - visible.pixels)
    found = said((inside(negative, 9, 4), inside(visible)), "translation")
    assert distance(found.applied, shift_matrix(9, 4)) < 0.5


# ---- zoom, turn, perspective --------------------------------------------------------------------


def a_homography(kind: str) -> Matrix:
    shape = inside(scene()[0]).height, inside(scene()[0]).width
    centre = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    if kind == "turn":
        return np.vstack([cv2.getRotationMatrix2D(centre, 2.5, 1), [0, 0, 1]])
    if kind == "zoom":
        return np.vstack([cv2.getRotationMatrix2D(centre, 0, 1.04), [0, 0, 1]])
    corners = corners_of(shape)
    places = corners + np.array([(8, -5), (-6, 9), (10, 4), (3, -8)])
    return cv2.getPerspectiveTransform(corners.astype(np.float32), places.astype(np.float32))


@pytest.mark.parametrize("kind", ["turn", "zoom", "perspective"])
def test_a_homography_is_found(kind: str) -> None:
    matrix = a_homography(kind)
    found = said(warped(matrix), "homography")
    assert found.applied is not None
    assert found.applied.model == "homography"
    assert distance(found.applied, matrix) < 1


def test_auto_sees_that_a_shift_does_not_explain_it() -> None:
    images = warped(a_homography("zoom"))
    moved, _, found = register(images, CLEAN, "ivif", "auto")
    assert moved is images
    assert found is not None
    assert found.applied is None
    (warning,) = found.warnings
    assert "--register homography" in warning


def test_a_homography_is_not_fitted_to_a_shift() -> None:
    found = said(misaligned(6, -5), "homography")
    assert found.applied is not None
    assert found.applied.model == "translation"
    assert found.applied.shift == (6, -5)


# ---- nothing to correct -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "translation", "homography"])
@pytest.mark.parametrize("name", ["none", "composite"])
def test_an_aligned_pair_is_left_alone(mode: str, name: str) -> None:
    degradations = preset("ivif", name)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    first, second = (
        degrade_image(image, degradation, rng)
        for image, degradation in zip(scene(), degradations, strict=True)
    )
    images, kept, found = register((first, second), degradations, "ivif", mode)  # type: ignore[arg-type]
    assert images == (first, second)
    assert kept is degradations
    assert found is not None
    assert (found.applied, found.warnings) == (None, ())


@pytest.mark.parametrize("name", ["mri-ct", "mri-pet"])
def test_an_aligned_medical_pair_is_left_alone(name: str) -> None:
    images = render(name)
    for mode in ("auto", "translation"):
        found = said(images, mode, "medical")
        assert found.applied is None
        assert not any("misaligned" in warning for warning in found.warnings)


def test_unrelated_pictures_are_not_registered() -> None:
    pair = scene("crossing")[0], scene("drone")[1]
    found = said(pair, "homography")
    assert found.applied is None
    (warning,) = found.warnings
    assert "too little in common" in warning
    assert said(pair).warnings == ()


@pytest.mark.parametrize(
    "image", [Image(np.full((300, 400), 7, np.uint8)), Image(np.zeros((9, 300), np.uint8))]
)
def test_pictures_that_show_nothing(image: Image) -> None:
    assert said((image, image)).warnings == ()
    assert said((image, image), "translation").applied is None
    assert len(said((image, image), "translation").warnings) == 1


def test_noise_alone_is_not_registered() -> None:
    rng = np.random.default_rng(0)
    one, two = (Image(rng.integers(0, 255, (240, 320)).astype(np.uint8)) for _ in range(2))
    assert said((one, two), "translation").applied is None


# ---- modes --------------------------------------------------------------------------------------


def test_auto_only_warns() -> None:
    images = misaligned(12, -9)
    moved, degradations, found = register(images, CLEAN, "ivif", "auto")
    assert moved is images
    assert degradations is CLEAN
    assert found is not None
    assert found.applied is None
    assert found.describe() is None
    (warning,) = found.warnings
    assert "source 1 lies 12" in warning
    assert "pixels right and 9" in warning
    assert "--register translation" in warning


def test_a_pixel_or_two_is_no_reason_to_warn() -> None:
    assert said(misaligned(2, -1)).warnings == ()


def test_none_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align, "find", None)
    images = misaligned(12, 0)
    assert register(images, CLEAN, "ivif", "none") == (images, CLEAN, None)


@pytest.mark.parametrize(
    ("scales", "task", "moved"),
    [((1, 1), "ivif", 0), ((1, 1), "medical", 1), ((1, 1), "multifocus", 1),
     ((4, 1), "medical", 0), ((1, 2), "ivif", 1)],
)  # fmt: skip
def test_the_finer_source_stays(scales: tuple[int, int], task: Task, moved: int) -> None:
    assert align.moving_source(scales, task) == moved


def test_a_moved_source_has_no_padded_border() -> None:
    padded = Degradation(blur_sigma=2, zero_border=True), Degradation(zero_border=True)
    kept = register(misaligned(9, 9), padded, "ivif", "translation")[1]
    assert (kept[0].zero_border, kept[1].zero_border) == (False, True)
    assert kept[0].blur_sigma == 2


def test_the_document_is_plain_and_complete() -> None:
    found = said(misaligned(12, -9), "translation")
    document = json.loads(json.dumps(found.document()))
    assert document["mode"] == "translation"
    assert document["moved"] == 1
    assert document["found"]["misaligned"] is True
    applied = document["applied"]
    assert applied["model"] == "translation"
    assert applied["shift"] == [12, -9]
    assert applied["matrix"] == [[1, 0, 12], [0, 1, -9], [0, 0, 1]]
    assert applied["rim"] == [0, 9, 12, 0]
    assert (found.describe() or "").startswith("source 1 lay 12.0 pixels right and 9.0 up")


def test_it_is_repeatable() -> None:
    images = warped(a_homography("perspective"))
    one, two = (register(images, CLEAN, "ivif", "homography") for _ in range(2))
    np.testing.assert_array_equal(one[0][0].pixels, two[0][0].pixels)


def test_evidence_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    motion = translation(9, 0, (320, 384))
    small = translation(3, 0, (320, 384))
    for finding, moves in (
        (Finding(motion, gain=4.7, lead=4, prominence=8), True),
        (Finding(small, gain=4.7, lead=4, prominence=8), False),
        (Finding(small, gain=6, lead=4, prominence=8), True),
        (Finding(motion, gain=6, lead=4, prominence=8), True),
        (Finding(motion, gain=2, lead=4, prominence=8), False),
        (Finding(motion, gain=6, lead=0.5, prominence=8), False),
        (Finding(motion, gain=6, lead=4, prominence=2), False),
        (Finding(translation(0.3, -0.4, (320, 384)), gain=6, lead=4, prominence=8), False),
    ):
        monkeypatch.setattr(align, "find", lambda *_, finding=finding: finding)
        assert (said(misaligned(0, 0), "translation").applied is not None) is moves


def test_look_survives_planes_of_other_sizes() -> None:
    still, moving = plane(0, (240, 320)), plane(0, (240, 320))[::1]
    small = cv2.resize(moving, (80, 60), interpolation=cv2.INTER_AREA)
    found = look(View.of(still, small, (240, 320)))
    assert found.motion.shift == pytest.approx((0, 0), abs=0.6)


# ---- real pairs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "task", "names"),
    [("medical", "medical", ["30057", "30069"]),
     ("ivif", "ivif", ["LLVIP_200003", "Road_FLIR_07202"])],
)  # fmt: skip
def test_registered_pairs_raise_no_alarm(folder: str, task: Task, names: list[str]) -> None:
    root = DATA / folder / "val"
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    pairs = [pair for pair in clean_pairs(root, task) if pair.name in names]
    assert len(pairs) == len(names)
    for pair in pairs:
        for name in ("none", "composite"):
            case = make_case(pair, preset(task, name), 2026)  # type: ignore[arg-type]
            for mode in ("auto", "translation"):
                found = said(case.degraded, mode, task, case.degradations)
                assert found.applied is None
                assert not any("misaligned" in warning for warning in found.warnings)


# ---- the command line ---------------------------------------------------------------------------


@pytest.fixture
def drfuse(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Cli:
    """In a folder with a misaligned pair: ``ir/1.png`` and ``vis/1.png``."""
    monkeypatch.chdir(tmp_path)
    infrared, visible = misaligned(12, -9)
    save(tmp_path / "ir" / "1.png", infrared)
    save(tmp_path / "vis" / "1.png", visible)
    return Cli(capfdbinary)


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_engine(monkeypatch)


FUSE = ("fuse", "ir/1.png", "vis/1.png", "-o", "out.png", "--degrade", "none")


@pytest.mark.usefixtures("fake_engine")
def test_fuse_warns_and_moves_nothing(drfuse: Cli) -> None:
    done = drfuse(*FUSE)
    assert "misaligned" in done.err
    document = json.loads(Path("out.png.json").read_bytes())
    assert any("misaligned" in warning for warning in document["warnings"])
    assert document["registration"]["applied"] is None


@pytest.mark.usefixtures("fake_engine")
def test_fuse_moves_what_it_is_told_to(drfuse: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Image] = []
    fuse = FakeEngine.fuse

    def watched(self: FakeEngine, first: Image, *rest: object) -> object:
        seen.append(first)
        return fuse(self, first, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeEngine, "fuse", watched)
    done = drfuse(*FUSE, "--register", "translation")
    assert "source 1 lay 12.0 pixels right and 9.0 up" in " ".join(done.err.split())
    np.testing.assert_array_equal(seen[0].pixels[9:, :-12], read_image("ir/1.png").pixels[:-9, 12:])
    document = json.loads(Path("out.png.json").read_bytes())
    assert document["registration"]["applied"]["shift"] == [12, -9]
    assert document["warnings"] == []
    from drfuse_cli.report import sidecar

    words = sidecar.arguments(document, "again.png")
    assert words[words.index("--register") + 1] == "translation"


@pytest.mark.usefixtures("fake_engine")
def test_fuse_can_be_told_not_to_look(drfuse: Cli) -> None:
    assert "misaligned" not in drfuse(*FUSE, "--register", "none").err
    document = json.loads(Path("out.png.json").read_bytes())
    assert document["registration"] is None


@pytest.mark.parametrize("mode", ["translation", "homography"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fuse", "ir/1.png", "vis/1.png", "--task", "medical", "-o", "out.nii.gz"),
         "not for DICOM and NIfTI"),
        (("batch", "ir.mp4", "vis.mp4", "-o", "out.mp4"), "every frame"),
        (("batch", ".", "-o", "out", "--sequence"), "every frame"),
    ],
    ids=["nifti", "videos", "sequence"],
)  # fmt: skip
def test_what_is_not_to_be_moved_is_refused(
    drfuse: Cli, words: tuple[str, ...], message: str, mode: str
) -> None:
    done = drfuse(*words, "--register", mode, code=2)
    assert message in done.err
    assert f"--register {mode}" in done.err
    assert not Path("out").exists()


def test_batch_warns_or_moves_and_resumes_the_same(drfuse: Cli, tmp_path: Path) -> None:
    weights = make_weights(tmp_path / "w.safetensors")
    words = ("batch", ".", "-o", "out", "--degrade", "noise", "--weights", str(weights))
    words = (*words, "--device", "cpu", "--workers", "2", "--steps", "1")
    assert "1 of 1 pairs have warnings" in drfuse(*words).err
    (document,) = lines(Path("out"))
    assert "misaligned" in document["warnings"][0]
    assert document["registration"]["applied"] is None
    done = drfuse(*words, "--resume", "--register", "translation", code=2)
    assert 'had another register: "auto", now "translation"' in " ".join(done.err.split())
    drfuse(*words, "--overwrite", "--register", "translation")
    (document,) = lines(Path("out"))
    assert document["warnings"] == []
    assert document["registration"]["applied"]["shift"] == [12, -9]
    assert document["assumed"]["register"] == "translation"


def test_frames_of_a_sequence_are_not_looked_at(drfuse: Cli, tmp_path: Path) -> None:
    weights = make_weights(tmp_path / "w.safetensors")
    words = ("batch", ".", "-o", "out", "--degrade", "noise", "--weights", str(weights))
    assert "warnings" not in drfuse(*words, "--sequence", "--device", "cpu", "--steps", "1").err
    (document,) = lines(Path("out"))
    assert document["registration"] is None
