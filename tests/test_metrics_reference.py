"""Every metric beside a second implementation: literal, slow, straight from the definition.

The definitions are those named in `drfuse_cli.metrics.registry`. Loops, scipy's direct
convolution and full Fourier transforms stand where the package has shortcuts; nothing of the
package is used but `score`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from metrics_support import Triple, ramps, scene, textured
from scipy.signal import convolve2d, correlate2d

from drfuse_cli.metrics import METRICS, score

Array = np.ndarray


# ---- the fused image alone ------------------------------------------------------------------


def en(a: Array, b: Array, f: Array) -> float:
    return -sum(p * math.log2(p) for p in (np.mean(f == k) for k in range(256)) if p)


def sd(a: Array, b: Array, f: Array) -> float:
    mean = sum(map(float, f.flat)) / f.size
    return math.sqrt(sum((x - mean) ** 2 for x in map(float, f.flat)) / f.size)


def sf(a: Array, b: Array, f: Array) -> float:
    x = f.astype(int).tolist()
    rows, columns = f.shape
    down = sum((x[i][j] - x[i - 1][j]) ** 2 for i in range(1, rows) for j in range(columns))
    right = sum((x[i][j] - x[i][j - 1]) ** 2 for i in range(rows) for j in range(1, columns))
    return math.sqrt(down / ((rows - 1) * columns) + right / (rows * (columns - 1)))


def ag(a: Array, b: Array, f: Array) -> float:
    x = f.astype(float)
    rows, columns = f.shape
    total = 0.0
    for i in range(rows):
        for j in range(columns):
            up, down = max(i - 1, 0), min(i + 1, rows - 1)
            left, right = max(j - 1, 0), min(j + 1, columns - 1)
            gy = (x[down, j] - x[up, j]) / (down - up)
            gx = (x[i, right] - x[i, left]) / (right - left)
            total += math.sqrt((gx**2 + gy**2) / 2)
    return total / ((rows - 1) * (columns - 1))


# ---- histograms -----------------------------------------------------------------------------


def joint(x: Array, y: Array) -> Array:
    counts = np.zeros((256, 256))
    for i, j in zip(x.flat, y.flat, strict=True):
        counts[int(i), int(j)] += 1
    return counts / x.size


def entropy(p: Array) -> float:
    return -sum(v * math.log2(v) for v in p.flat if v > 0)


def information(x: Array, y: Array) -> float:
    h = joint(x, y)
    return entropy(h.sum(axis=1)) + entropy(h.sum(axis=0)) - entropy(h)


def level_entropy(x: Array) -> float:
    return entropy(joint(x, x))


def stretch(x: Array) -> Array:
    x = x.astype(float)
    return np.floor(255 * (x - x.min()) / (x.max() - x.min()) + 0.5)


def mi(a: Array, b: Array, f: Array) -> float:
    return information(a, f) + information(b, f)


def q_mi(a: Array, b: Array, f: Array) -> float:
    return 2 * sum(information(x, f) / (level_entropy(x) + level_entropy(f)) for x in (a, b))


def q_ncie(a: Array, b: Array, f: Array) -> float:
    ab, af, bf = (information(x, y) / 8 for x, y in ((a, b), (a, f), (b, f)))
    values = np.linalg.eigvals(np.array([[1, ab, af], [ab, 1, bf], [af, bf, 1]])).real / 3
    return 1 + sum(v * math.log(v, 256) for v in values)


def q_te(a: Array, b: Array, f: Array) -> float:
    a, b, f = (stretch(x) for x in (a, b, f))
    q = 0.43137

    def tsallis(x: Array, y: Array) -> float:
        h = joint(x, y)
        u, v = h.sum(axis=0), h.sum(axis=1)  # crossed, as in the reference
        total = sum(
            h[i, j] ** q * (u[i] * v[j]) ** (1 - q) for i, j in zip(*h.nonzero(), strict=True)
        )
        return (1 - total) / (1 - q)

    scale = level_entropy(a) ** q + level_entropy(b) ** q + tsallis(a, b)
    return (tsallis(a, f) + tsallis(b, f)) / scale


# ---- 3 x 3 windows --------------------------------------------------------------------------


def fmi(a: Array, b: Array, f: Array) -> float:
    rows, columns = f.shape
    total = 0.0
    for x in (a, b):
        for i in range(rows - 2):
            for j in range(columns - 2):
                total += shared(x[i : i + 3, j : j + 3], f[i : i + 3, j : j + 3])
    return total / (2 * (rows - 2) * (columns - 2))


def shared(x: Array, y: Array) -> float:
    """2 I / (H + H) of two windows through the whole 9 x 9 joint distribution."""
    if (x == y).all():
        return 1.0
    p, q = distribution(x), distribution(y)
    if np.ptp(p) == 0 or np.ptp(q) == 0:
        return float(np.ptp(p) == np.ptp(q))
    c = np.corrcoef(p, q)[0, 1]
    above_p, above_q = np.cumsum(p), np.cumsum(q)
    if c >= 0:
        bound = np.minimum.outer(above_q, above_p)
    else:
        bound = np.maximum(np.add.outer(above_q, above_p) - 1, 0)
    place = np.arange(1, 10)
    spread = math.prod(math.sqrt(max(v @ place**2 - (v @ place) ** 2, 0)) for v in (p, q))
    independent = np.outer(above_q, above_p)
    weight = c / ((bound - independent).sum() / spread) if spread > 1e-9 else 0.0
    padded = np.pad(bound, ((1, 0), (1, 0)))
    mixed = padded[1:, 1:] - padded[:-1, 1:] - padded[1:, :-1] + padded[:-1, :-1]
    table = weight * mixed + (1 - weight) * np.outer(q, p)
    entropies = entropy(p) + entropy(q)
    if entropies == 0:
        return 0.0
    of_both = -sum(v * math.log2(abs(v)) for v in table.flat if v != 0)
    return 2 * (entropies - of_both) / entropies


def distribution(window: Array) -> Array:
    x = window.astype(float).flatten(order="F")
    x = np.ones(9) if np.ptp(x) == 0 else (x - x.min()) / np.ptp(x)
    return x / x.sum()


# ---- gradients ------------------------------------------------------------------------------

SOBEL = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
PREWITT = np.array([[-1.0, 0, 1], [-1, 0, 1], [-1, 0, 1]])


def q_g(a: Array, b: Array, f: Array) -> float:
    def edges(x: Array) -> tuple[Array, Array]:
        sx, sy = (correlate2d(x.astype(float), k, "same") for k in (SOBEL, SOBEL.T))
        g = np.sqrt(sx**2 + sy**2)
        return np.where(g == 0, 1e-5, g), np.arctan(sy / np.where(sx == 0, 1e-5, sx))

    (ga, aa), (gb, ab), (gf, af) = (edges(x) for x in (a, b, f))
    kept = total = 0.0
    for g, angle in ((ga, aa), (gb, ab)):
        for i in np.ndindex(*f.shape):
            strength = min(g[i], gf[i]) / max(g[i], gf[i])
            alignment = 1 - abs(angle[i] - af[i]) / (math.pi / 2)
            q_strength = 0.9994 / (1 + math.exp(-15 * (strength - 0.5)))
            q_angle = 0.9879 / (1 + math.exp(-22 * (alignment - 0.8)))
            kept += q_strength * q_angle * g[i]
            total += g[i]
    return kept / total


def n_abf(a: Array, b: Array, f: Array) -> float:
    def edges(x: Array) -> tuple[Array, Array]:
        x = np.pad(x.astype(float), 1, mode="reflect")
        vertical, horizontal = (correlate2d(x, k / 8, "valid") for k in (SOBEL, SOBEL.T))
        angle = np.zeros_like(vertical)
        for i in np.ndindex(*angle.shape):
            if vertical[i] != 0 or horizontal[i] != 0:
                angle[i] = math.atan(
                    vertical[i] / horizontal[i]
                    if horizontal[i]
                    else math.copysign(1e300, vertical[i])
                )
        return np.sqrt(vertical**2 + horizontal**2), angle

    (ga, aa), (gb, ab), (gf, af) = (edges(x) for x in (a, b, f))
    added = total = 0.0
    for i in np.ndindex(*f.shape):
        for g, angle in ((ga[i], aa[i]), (gb[i], ab[i])):
            weight = g**1.5 if g >= 2 else 0.001
            strength = min(g, gf[i]) / max(g, gf[i]) if g and gf[i] else 0.0
            alignment = abs(abs(angle - af[i]) - math.pi / 2) * 2 / math.pi
            q_strength = 0.9999 / (1 + math.exp(-19 * (strength - 0.5)))
            q_angle = 0.9995 / (1 + math.exp(-22 * (alignment - 0.5)))
            if gf[i] > ga[i] and gf[i] > gb[i]:
                added += (1 - math.sqrt(q_strength * q_angle)) * weight
            total += weight
    return added / total


def q_sf(a: Array, b: Array, f: Array) -> float:
    a, b, f = (x.astype(float) for x in (a, b, f))
    rows, columns = f.shape
    of_f = of_sources = 0.0
    for weight, (di, dj) in ((1, (0, 1)), (1, (1, 0)), (0.5**0.5, (1, 1)), (0.5**0.5, (1, -1))):
        for i in range(rows - di):
            for j in range(columns):
                k = j + dj
                if not 0 <= k < columns:
                    continue
                steps = [abs(x[i + di, k] - x[i, j]) for x in (a, b, f)]
                of_f += weight * steps[2] ** 2
                of_sources += weight * max(steps[:2]) ** 2
    return (math.sqrt(of_f) - math.sqrt(of_sources)) / math.sqrt(of_sources)


def q_m(a: Array, b: Array, f: Array) -> float:
    def haar(x: Array) -> tuple[Array, list[Array]]:
        rows, columns = x.shape[0] // 2, x.shape[1] // 2
        bands = np.zeros((4, rows, columns))
        for i in range(rows):
            for j in range(columns):
                p, q = x[2 * i, 2 * j], x[2 * i, 2 * j + 1]
                r, s = x[2 * i + 1, 2 * j], x[2 * i + 1, 2 * j + 1]
                bands[:, i, j] = (p + q + r + s, p - q + r - s, p + q - r - s, p - q - r + s)
        return bands[0] / 2, list(bands[1:] / 2)

    low = [x.astype(float) for x in (a, b, f)]
    value = 1.0
    for exponent in (2 / 3, 1 / 3):
        levels = [haar(x) for x in low]
        low = [level[0] for level in levels]
        of_f = levels[2][1]
        weights = [sum(band**2 for band in level[1]) for level in levels[:2]]
        kept = [
            sum(np.exp(-abs(x - y)) for x, y in zip(level[1], of_f, strict=True))
            for level in levels[:2]
        ]
        quality = (kept[0] * weights[0] + kept[1] * weights[1]).sum() / np.sum(weights)
        value *= quality**exponent
    return value


# ---- windows --------------------------------------------------------------------------------


def gaussian(size: int, sigma: float) -> Array:
    y, x = np.mgrid[:size, :size] - size // 2
    window = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    return window / window.sum()


def moments(x: Array, y: Array, window: Array) -> tuple[Array, ...]:
    """Means, variances and covariance in every window that lies inside."""
    x, y = x.astype(float), y.astype(float)
    mx, my, xx, yy, xy = (correlate2d(z, window, "valid") for z in (x, y, x * x, y * y, x * y))
    return mx, my, xx - mx**2, yy - my**2, xy - mx * my


def ssim_map(x: Array, y: Array, window: Array, c1: float, c2: float) -> Array:
    mx, my, vx, vy, cov = moments(x, y, window)
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


def ssim(a: Array, b: Array, f: Array) -> float:
    c1, c2 = 2.55**2, 7.65**2
    return np.mean([ssim_map(x, f, gaussian(11, 1.5), c1, c2).mean() for x in (a, b)])


def ms_ssim(a: Array, b: Array, f: Array) -> float:
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    window, c1, c2 = gaussian(11, 1.5), 2.55**2, 7.65**2
    values = []
    for x in (a, b):
        x, y = x.astype(float), f.astype(float)
        value = 1.0
        for level, weight in enumerate(weights):
            mx, my, vx, vy, cov = moments(x, y, window)
            factor = (2 * cov + c2) / (vx + vy + c2)
            if level == 4:
                factor = factor * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
            value *= max(factor.mean(), 0) ** weight
            x, y = (halve(z) for z in (x, y))
        values.append(value)
    return np.mean(values)


def halve(x: Array) -> Array:
    """2 x 2 means; an odd side is padded by a zero on either end, which counts."""
    x = np.pad(x, [(n % 2, n % 2) for n in x.shape])
    rows, columns = x.shape[0] // 2, x.shape[1] // 2
    return x[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))


def piella(a: Array, b: Array, f: Array) -> tuple[float, float]:
    """Q_S and Q_W."""
    window, c = np.full((8, 8), 1 / 64), (255e-6) ** 2
    _, _, va, vb, _ = moments(a, b, window)
    flat = va + vb == 0
    va, vb = va + 0.5 * flat, vb + 0.5 * flat
    share = va / (va + vb)
    value = share * ssim_map(a, f, window, c, c) + (1 - share) * ssim_map(b, f, window, c, c)
    saliency = np.maximum(va, vb)
    return value.mean(), (saliency * value).sum() / saliency.sum()


def q_s(a: Array, b: Array, f: Array) -> float:
    return piella(a, b, f)[0]


def q_w(a: Array, b: Array, f: Array) -> float:
    return piella(a, b, f)[1]


def q_e(a: Array, b: Array, f: Array) -> float:
    edges = [
        np.hypot(*(convolve2d(x.astype(float), k, "same") for k in (PREWITT, PREWITT.T)))
        for x in (a, b, f)
    ]
    return q_w(a, b, f) * q_w(*edges)


def q_c(a: Array, b: Array, f: Array) -> float:
    window, c = np.full((8, 8), 1 / 64), 2e-16
    with_a, with_b = (moments(x, f, window)[4] for x in (a, b))
    to_a, to_b = (ssim_map(x, f, window, c, c) for x in (a, b))
    total = 0.0
    for i in np.ndindex(*to_a.shape):
        below = with_a[i] + with_b[i]
        if below != 0:
            share = min(max(with_a[i] / below, 0), 1)
        else:
            share = 0.5 if with_a[i] == 0 else float(with_a[i] > 0)
        total += share * to_a[i] + (1 - share) * to_b[i]
    return total / to_a.size


def q_y(a: Array, b: Array, f: Array) -> float:
    window, c = gaussian(7, 1.5), 2e-16
    to_a, to_b, alike = (ssim_map(x, y, window, c, c) for x, y in ((a, f), (b, f), (a, b)))
    _, _, va, vb, _ = moments(a, b, window)
    share = va / (va + vb)
    both = share * to_a + (1 - share) * to_b
    return np.where(alike >= 0.75, both, np.maximum(to_a, to_b)).mean()


# ---- visual models --------------------------------------------------------------------------


def channels(x: Array, f: Array) -> list[tuple[Array, Array, Array]]:
    """Gain, noise and variance of the source at four scales."""
    x, f = x.astype(float), f.astype(float)
    scales = []
    for size in (17, 9, 5, 3):
        window = gaussian(size, size / 5)
        if size < 17:
            x, f = (correlate2d(z, window, "valid")[::2, ::2] for z in (x, f))
        _, _, vx, vf, cov = moments(x, f, window)
        vx, vf = np.maximum(vx, 0), np.maximum(vf, 0)
        gain = cov / (vx + 1e-10)
        noise = vf - gain * cov
        gain[vx < 1e-10] = 0
        noise[vx < 1e-10] = vf[vx < 1e-10]
        vx[vx < 1e-10] = 0
        gain[vf < 1e-10] = 0
        noise[vf < 1e-10] = 0
        noise[gain < 0] = vf[gain < 0]
        gain[gain < 0] = 0
        noise[noise <= 1e-10] = 1e-10
        scales.append((gain, noise, vx))
    return scales


def vif(a: Array, b: Array, f: Array) -> float:
    value = 0.0
    for x in (a, b):
        scales = channels(x, f)
        arriving = sum(np.log10(1 + g**2 * v / (n + 2)).sum() for g, n, v in scales)
        value += arriving / sum(np.log10(1 + v / 2).sum() for _, _, v in scales)
    return value


def viff(a: Array, b: Array, f: Array) -> float:
    eye = 0.005 * 255**2
    value = 0.0
    for of_a, of_b, weight in zip(channels(a, f), channels(b, f), (1, 0, 0.15, 1), strict=True):
        arriving = held = 0.0
        for i in np.ndindex(*of_a[0].shape):
            gain, noise, variance = (x[i] for x in (of_a if of_a[0][i] < of_b[0][i] else of_b))
            arriving += math.log10(1 + gain**2 * variance / (noise + eye)) + 1e-7
            held += math.log10(1 + variance / eye) + 1e-7
        value += weight / 2.15 * arriving / held
    return value


def frequencies(shape: tuple[int, ...], scale: float) -> Array:
    """Radius of MATLAB's freqspace times the sides over `scale`, zero in the middle."""
    axes = []
    for n in shape:
        steps = np.arange(-n, n, 2) if n % 2 == 0 else np.arange(-n + 1, n, 2)
        axes.append(steps / n * n / scale)
    return np.hypot(axes[0][:, None], axes[1][None])


def seen(x: Array, gain: Array) -> Array:
    spectrum = np.fft.fftshift(np.fft.fft2(x)) * gain
    return np.fft.ifft2(np.fft.ifftshift(spectrum)).real


def q_cv(a: Array, b: Array, f: Array) -> float:
    a, b, f = (stretch(x) for x in (a, b, f))
    r = frequencies(f.shape, 8)
    gain = 2.6 * (0.0192 + 0.144 * r) * np.exp(-((0.144 * r) ** 1.1))
    margin = [(0, -n % 16) for n in f.shape]
    value = total = 0.0
    for x in (a, b):
        strength = np.hypot(*(convolve2d(x, k, "same") for k in (SOBEL, SOBEL.T)))
        strength, difference = (np.pad(z, margin) for z in (strength, seen(x - f, gain)))
        for i in range(0, strength.shape[0], 16):
            for j in range(0, strength.shape[1], 16):
                block = np.s_[i : i + 16, j : j + 16]
                saliency = (strength[block] ** 5).sum()
                value += saliency * (difference[block] ** 2).mean()
                total += saliency
    return value / total


def q_cb(a: Array, b: Array, f: Array) -> float:
    y, x = np.mgrid[-15:16, -15:16]
    windows = [np.exp(-(x**2 + y**2) / (2 * s**2)) / (2 * np.pi * s**2) for s in (2, 4)]

    def contrast(image: Array) -> Array:
        r = frequencies(image.shape, 30)
        gain = np.exp(-((r / 15.3870) ** 2)) - 0.7622 * np.exp(-((r / 1.3456) ** 2))
        passed = seen(stretch(image), gain)
        centre, around = (convolve2d(passed, window, "same") for window in windows)
        c = np.abs(centre / around - 1)
        return c**3 / (c**2 + 1e-4)

    in_a, in_b, in_f = (contrast(image) for image in (a, b, f))
    kept = [np.minimum(c, in_f) / np.maximum(c, in_f) for c in (in_a, in_b)]
    share = in_a**2 / (in_a**2 + in_b**2)
    return (share * kept[0] + (1 - share) * kept[1]).mean()


def q_p(a: Array, b: Array, f: Array) -> float:
    maps = [congruency(x) for x in (a, b, f)]
    (pc_a, *_), (pc_b, *_), _ = maps
    masks = [pc_a > 0.1, pc_b > 0.1, np.maximum(pc_a, pc_b) > 0.1]
    value = 1.0
    for of_a, of_b, of_f in zip(*maps, strict=True):
        best = np.full(f.shape, -np.inf)
        for x, mask in zip((of_a, of_b, np.where(pc_a > pc_b, of_a, of_b)), masks, strict=True):
            x = x * mask
            mx, mf, xx, ff, xf = (
                correlate2d(z, gaussian(11, 1.5), "same")
                for z in (x, of_f, x * x, of_f * of_f, x * of_f)
            )
            vx, vf, cov = xx - mx**2, ff - mf**2, xf - mx * mf
            best = np.maximum(best, mask * (cov + 1e-4) / (np.sqrt(abs(vx * vf)) + 1e-4))
        value *= best.sum() / masks[2].sum()
    return value


def congruency(image: Array) -> tuple[Array, Array, Array]:
    """Phase congruency and its larger and smaller moment, filters and energies spelled out."""
    rows, columns = image.shape
    axes = [np.arange(-(n // 2), n - n // 2) / (n if n % 2 == 0 else n - 1) for n in image.shape]
    y, x = axes[0][:, None], axes[1][None]
    radius = np.hypot(x, y)
    theta = np.arctan2(-y, x)
    radius[rows // 2, columns // 2] = 1
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    spectrum = np.fft.fft2(image.astype(float))
    energies, amplitudes = np.zeros(image.shape), np.zeros(image.shape)
    cx, cy, cxy = np.zeros(image.shape), np.zeros(image.shape), np.zeros(image.shape)
    for o in range(6):
        angle = o * math.pi / 6
        sine = np.sin(theta) * math.cos(angle) - np.cos(theta) * math.sin(angle)
        cosine = np.cos(theta) * math.cos(angle) + np.sin(theta) * math.sin(angle)
        spread = np.exp(-(np.arctan2(sine, cosine) ** 2) / (2 * (math.pi / 6 / 1.2) ** 2))
        filters = []
        for s in range(4):
            centre = 1 / (3 * 2.1**s)
            band = np.exp(-(np.log(radius / centre) ** 2) / (2 * math.log(0.55) ** 2)) * low_pass
            band[rows // 2, columns // 2] = 0
            filters.append(np.fft.ifftshift(band * spread))
        responses = [np.fft.ifft2(spectrum * h) for h in filters]
        sizes = [abs(e) for e in responses]
        mean = sum(responses) / (abs(sum(responses)) + 1e-4)
        energy = sum(
            e.real * mean.real + e.imag * mean.imag - abs(e.real * mean.imag - e.imag * mean.real)
            for e in responses
        )
        impulses = [np.fft.ifft2(h).real * math.sqrt(rows * columns) for h in filters]
        squares = sum(np.sum(h**2) for h in impulses)
        products = sum(np.sum(impulses[i] * impulses[j]) for i in range(4) for j in range(i + 1, 4))
        noise = np.median(sizes[0] ** 2) / math.log(2) / np.sum(filters[0] ** 2)
        tau = math.sqrt((2 * noise * squares + 4 * noise * products) / 2)
        limit = tau * math.sqrt(math.pi / 2) + 2 * math.sqrt((2 - math.pi / 2) * tau**2)
        width = sum(sizes) / (np.max(sizes, axis=0) + 1e-4) / 4
        energy = np.maximum(energy - limit / 1.7, 0) / (1 + np.exp(10 * (0.5 - width)))
        energies, amplitudes = energies + energy, amplitudes + sum(sizes)
        pc = energy / sum(sizes)
        cx = cx + (pc * math.cos(angle)) ** 2 / 3
        cy = cy + (pc * math.sin(angle)) ** 2 / 3
        cxy = cxy + pc**2 * math.cos(angle) * math.sin(angle) / 6
    d = np.sqrt(cxy**2 + (cx - cy) ** 2) + 1e-4
    return energies / (amplitudes + 1e-4), (cx + cy + d) / 2, (cx + cy - d) / 2


# ---- error and correlation ------------------------------------------------------------------


def mse(a: Array, b: Array, f: Array) -> float:
    pairs = [*zip(a.flat, f.flat, strict=True), *zip(b.flat, f.flat, strict=True)]
    return sum((int(x) - int(y)) ** 2 for x, y in pairs) / len(pairs)


def psnr(a: Array, b: Array, f: Array) -> float:
    return 20 * math.log10(255 / math.sqrt(mse(a, b, f)))


def correlation(x: Array, y: Array) -> float:
    return np.corrcoef(x.astype(float).ravel(), y.astype(float).ravel())[0, 1]


def cc(a: Array, b: Array, f: Array) -> float:
    return (correlation(a, f) + correlation(b, f)) / 2


def scd(a: Array, b: Array, f: Array) -> float:
    a, b, f = (x.astype(int) for x in (a, b, f))
    return correlation(f - b, a) + correlation(f - a, b)


# ---- the comparison -------------------------------------------------------------------------

REFERENCES: dict[str, Callable[[Array, Array, Array], float]] = {
    "EN": en, "SD": sd, "SF": sf, "AG": ag, "MI": mi, "Q_MI": q_mi, "Q_TE": q_te,
    "Q_NCIE": q_ncie, "Q_G": q_g, "Q_M": q_m, "Q_SF": q_sf, "Q_P": q_p, "Q_S": q_s, "Q_W": q_w,
    "Q_E": q_e, "Q_C": q_c, "Q_Y": q_y, "Q_CV": q_cv, "Q_CB": q_cb, "CC": cc, "SCD": scd,
    "VIF": vif, "VIFF": viff, "FMI": fmi, "N_ABF": n_abf, "SSIM": ssim, "MS_SSIM": ms_ssim,
    "PSNR": psnr, "MSE": mse,
}  # fmt: skip


@cache
def images(kind: str, name: str) -> Triple:
    if name == "MS_SSIM":
        return {"scene": scene, "textured": textured}[kind](161, 166)
    if name == "FMI":
        return {"scene": scene, "textured": textured}[kind](22, 31)
    return {"scene": scene(), "textured": textured()}[kind]


def test_every_metric_has_a_reference() -> None:
    assert list(REFERENCES) == list(METRICS)


@pytest.mark.parametrize("kind", ["scene", "textured"])
@pytest.mark.parametrize("name", REFERENCES)
def test_agrees_with_the_literal_definition(kind: str, name: str) -> None:
    a, b, f = images(kind, name)
    value = score(a, b, f, [name])[name].value
    # The window of MS_SSIM is that of single precision, which shows on flat areas.
    tolerance = 1e-5 if name == "MS_SSIM" else 1e-9
    assert value == pytest.approx(REFERENCES[name](a, b, f), rel=tolerance)


@pytest.mark.parametrize("name", [name for name in REFERENCES if name != "MS_SSIM"])
def test_the_literal_definitions_are_those_of_the_published_implementations(name: str) -> None:
    """What those printed for the ramps is held in test_metrics.py."""
    value = score(*ramps(), [name])[name].value
    assert value == pytest.approx(REFERENCES[name](*ramps()), rel=1e-9)
