"""Train the small networks that bound blur and correlated noise.

    python bench/estimate/train.py --data DIR [--data DIR...] -o DIR

They are written to DIR as `blur.safetensors`, `grain.safetensors` and `most.safetensors`, and
belong into `drfuse_cli/operators/estimate`. Every folder below the data holds clean images; the
rendered scenes are added. README.md beside this file says what is done to them.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor, nn

from drfuse_cli.imageio import read_image
from drfuse_cli.operators.estimate.features import FEATURES
from drfuse_cli.operators.estimate.learned import QUANTILES
from drfuse_cli.operators.estimate.look import look_at
from drfuse_cli.operators.estimate.noise import to_target
from drfuse_cli.operators.estimate.planes import Plane, channels_of, luma

SUFFIXES = {".png", ".webp", ".tif", ".tiff", ".bmp"}
LARGEST_BLUR = 3.5


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    ``jitter``: noise on the normalised features against learning them by heart (chosen on
    held-out pictures).
    """

    truth: str
    quantiles: tuple[float, ...]
    hidden: tuple[int, ...]
    jitter: float


RECIPES = {
    "blur": Recipe("blur", QUANTILES["blur"], (32, 16), 0.15),
    "grain": Recipe("grain", QUANTILES["grain"], (32, 16), 0.05),
    "most": Recipe("blur", QUANTILES["most"], (64, 32), 0.08),
}


@dataclass(frozen=True)
class Sample:
    """Features of a degraded picture, and what the networks are to make of them."""

    features: np.ndarray
    sigma: float
    grain: float


def series(files: list[Path], most: int, rng: np.random.Generator) -> dict[str, list[Path]]:
    """Files by folder and by how their names begin, at most so many of each."""
    groups = defaultdict(list)
    for file in files:
        begins = file.stem.split("_")[0].rstrip("0123456789")
        groups[f"{file.parent}/{begins}"].append(file)
    return {
        name: [group[i] for i in sorted(rng.permutation(len(group))[:most])]
        for name, group in sorted(groups.items())
    }


def scenes() -> dict[str, list[Plane]]:
    from drfuse_cli.scenes import SCENES, render

    found = {}
    for name in SCENES:
        both = render(name, seed=11)
        found[f"scene {name}"] = [luma(channels_of(image)) for image in both]
    return found


# ---- what files go through --------------------------------------------------------------------


def varied(plane: Plane, rng: np.random.Generator) -> Plane:
    """A part of the picture, perhaps reduced or enlarged, in another brightness and contrast."""
    if rng.random() < 0.3:
        factor = rng.uniform(1.2, 2.5)
        height, width = (int(n / factor) for n in plane.shape)
        if min(height, width) >= 128:
            plane = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.8:
        height, width = (int(rng.integers(min(n, 72), min(n, 400) + 1)) for n in plane.shape)
        top = int(rng.integers(0, plane.shape[0] - height + 1))
        left = int(rng.integers(0, plane.shape[1] - width + 1))
        plane = plane[top : top + height, left : left + width]
    if rng.random() < 0.15:
        plane = enlarged(plane, rng.uniform(1.2, 3), rng).clip(0, 255)
    if rng.random() < 0.5:
        plane = 255 * (plane / 255) ** rng.uniform(0.6, 1.6)
    if rng.random() < 0.5:
        gain = rng.uniform(0.4, 1)
        plane = plane * gain + rng.uniform(0, 255 * (1 - gain)) * (rng.random() < 0.5)
    if rng.random() < 0.1:  # sharpened in the camera
        plane = plane + rng.uniform(0.2, 1) * (plane - cv2.GaussianBlur(plane, (0, 0), 1))
    return np.ascontiguousarray(plane, np.float32)


def enlarged(plane: Plane, factor: float, rng: np.random.Generator) -> Plane:
    """A corner of the picture, as large as all of it, as cameras and scanners enlarge."""
    height, width = plane.shape
    corner = plane[: int(height / factor), : int(width / factor)]
    way = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]))
    return np.asarray(cv2.resize(corner, (width, height), interpolation=way), np.float32)


def blurred(plane: Plane, rng: np.random.Generator) -> tuple[Plane, float]:
    if rng.random() < 0.5:
        return plane, 0.0
    sigma = float(rng.uniform(0.4, LARGEST_BLUR))
    size = 2 * int(np.ceil(4 * sigma)) + 1
    border = cv2.BORDER_CONSTANT if rng.random() < 0.15 else cv2.BORDER_REFLECT
    return cv2.GaussianBlur(plane, (size, size), sigma, borderType=border), sigma


def grain(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Noise of standard deviation 1: white, or as smoothing and enlarging leave it."""
    kind = rng.choice(["white", "smooth", "enlarged", "both"], p=[0.5, 0.2, 0.2, 0.1])
    noise = rng.standard_normal(shape, dtype=np.float32)
    if kind == "enlarged":
        noise = enlarged(noise, rng.uniform(1.2, 3), rng)
    elif kind != "white":
        smooth = cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(0.4, 1.5)))
        smooth /= smooth.std()
        noise = smooth + (kind == "both") * rng.uniform(0.1, 1) * rng.permutation(noise)
    return noise / noise.std()


def noisy(plane: Plane, rng: np.random.Generator) -> Plane:
    if rng.random() < 0.4:
        return plane
    std = float(np.exp(rng.uniform(np.log(0.5), np.log(25))))
    return plane + std * grain(plane.shape, rng)


def filed(plane: Plane, quality: int | None) -> Plane:
    """As 8 bits hold it, perhaps after JPEG."""
    values = np.floor(plane.clip(0, 255) + 0.5).astype(np.uint8)
    if quality is not None:
        done, encoded = cv2.imencode(".jpg", values, [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert done
        values = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    return values.astype(np.float32)


def left(noisy: Plane, smooth: Plane, seen: Plane) -> float:
    """The standard deviation of the noise that a file still holds where nothing is clipped."""
    if noisy is smooth:
        return 0.0
    held = (seen - smooth)[np.abs(smooth - 127.5) < 127.5 - 3 * (noisy - smooth).std()]
    return float((held if held.size > 1000 else noisy - smooth).std())


def sample(plane: Plane, rng: np.random.Generator) -> Sample:
    """A degraded picture."""
    smooth, sigma = blurred(varied(plane, rng), rng)
    spoilt = noisy(smooth, rng)
    quality = int(rng.integers(50, 98)) if rng.random() < 0.2 else None
    seen = filed(spoilt, quality)
    look = look_at(seen, 1.0)
    assert look.features is not None
    return Sample(look.features, sigma, to_target(look.gain * left(spoilt, smooth, seen)))


def samples(folders: list[Path], each: int, most: int, seed: int) -> Iterator[tuple[Sample, int]]:
    """Samples, each with the number of the picture it comes from."""
    rng = np.random.default_rng(seed)
    files = [p for folder in folders for p in sorted(folder.rglob("*")) if p.suffix in SUFFIXES]
    groups: dict[str, list] = {**series(files, most, rng), **scenes()}
    number = 0
    for name, group in groups.items():
        print(f"{name}: {len(group)} pictures", flush=True)
        for i, item in enumerate(group):
            plane = luma(channels_of(read_image(item))) if isinstance(item, Path) else item
            number += 1
            for _ in range(each // len(group) + (i < each % len(group))):
                yield sample(plane, rng), number


def table_of(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """What the networks learn from: read where it was kept, made otherwise."""
    if options.features is not None and options.features.exists():
        return dict(np.load(options.features))
    rows = list(samples(options.data, options.each, options.most, options.seed))
    table = {
        "features": np.array([row.features for row, _ in rows], np.float32),
        "blur": np.array([row.sigma for row, _ in rows], np.float32),
        "grain": np.array([row.grain for row, _ in rows], np.float32),
        "picture": np.array([number for _, number in rows]),
    }
    if options.features is not None:
        np.savez_compressed(options.features, **table)
    return table


# ---- training ---------------------------------------------------------------------------------


def network(recipe: Recipe) -> nn.Sequential:
    sizes = (FEATURES, *recipe.hidden, len(recipe.quantiles))
    layers: list[nn.Module] = []
    for i in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[i], sizes[i + 1]), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def pinball(found: Tensor, truth: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """The loss whose minimum is the conditional quantile."""
    below = truth[:, None] - found
    levels = torch.tensor(quantiles)
    return torch.maximum(levels * below, (levels - 1) * below).mean()


def train(
    x: Tensor, y: Tensor, recipe: Recipe, steps: int, seed: int
) -> tuple[nn.Sequential, Tensor, Tensor]:
    torch.manual_seed(seed)
    mean, std = x.mean(0), x.std(0) + 1e-3
    model = network(recipe)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (512,))
        inputs = (x[rows] - mean) / std
        inputs = inputs + recipe.jitter * torch.randn_like(inputs)
        loss = pinball(model(inputs), y[rows], recipe.quantiles)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model, mean, std


def tensors(model: nn.Sequential, mean: Tensor, std: Tensor) -> dict[str, np.ndarray]:
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    found = {"mean": mean, "std": std}
    for i, layer in enumerate(layers):
        found |= {f"weight{i}": layer.weight, f"bias{i}": layer.bias}
    return {name: value.detach().numpy().astype(np.float32) for name, value in found.items()}


def report(found: Tensor, y: Tensor) -> None:
    """How the quantiles hold on pictures that were not trained on."""
    for name, chosen in (("none", y == y.min()), ("some", y > y.min())):
        below = [(y[chosen] < found[chosen, i]).float().mean() for i in range(found.shape[1])]
        print(f"  {name}: {int(chosen.sum())}, below", *(f"{float(b):.3f}" for b in below))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, action="append", required=True, metavar="DIR")
    parser.add_argument("--output", "-o", type=Path, required=True, metavar="DIR")
    parser.add_argument("--each", type=int, default=250, help="samples of each series")
    parser.add_argument("--most", type=int, default=150, help="pictures of each series")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(RECIPES), help="networks, comma-separated")
    parser.add_argument("--features", type=Path, help="keep the features here, or reuse them")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    table = table_of(options)
    x = torch.from_numpy(table["features"])
    held_out = torch.from_numpy(table["picture"] % 8 == 0)
    for name in options.only.split(","):
        recipe = RECIPES[name]
        y = torch.from_numpy(table[recipe.truth])
        model, mean, std = train(x[~held_out], y[~held_out], recipe, options.steps, options.seed)
        with torch.no_grad():
            found = model((x[held_out] - mean) / std)
        print(f"{name}: shares of held-out files below the quantiles {recipe.quantiles}")
        report(found, y[held_out])
        content = save(tensors(model, mean, std))
        (options.output / f"{name}.safetensors").write_bytes(content)


if __name__ == "__main__":
    main()
