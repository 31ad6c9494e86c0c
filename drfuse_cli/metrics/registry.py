"""Every metric with how to read it, where it is from, and why other tools print other numbers.

References by their repositories: MFIF-Metrics (yuliu316316, MATLAB), Evaluation-for-Image-Fusion
(Linfeng-Tang, MATLAB), imageFusionMetrics (zhengliu6699, MATLAB), CDDFuse (Zhaozixiang1228,
Evaluator.py), IVIF_ZOO (RollingPlain, PyTorch), VIFB and MEFB (xingchenzhang, MATLAB).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from drfuse_cli.metrics import (
    deviation,
    fmi,
    frequency,
    gradient,
    information,
    perception,
    phase,
    similarity,
    single,
    visual,
)
from drfuse_cli.metrics.triple import Triple

Better = Literal["higher", "lower", "zero"]


@dataclass(frozen=True)
class Metric:
    """One fusion metric: how to read it, how it is defined, how to compute it."""

    id: str
    title: str
    better: Better
    range: tuple[float | None, float | None]
    """Lowest and highest value; ``None`` is unbounded."""
    formula: str
    source: str
    """Paper; implementation followed."""
    function: Callable[[Triple], float]
    minimum_size: int = 1
    """Smallest height and width for which it is computed."""
    identity: float | None = None
    """Value for A = B = F where that is one number whatever the image."""
    variants: tuple[str, ...] = ()
    """What other tools do differently, a sentence each."""

    def merit(self, value: float) -> float:
        """A number that is larger for the better value, whatever the direction."""
        if self.better == "zero":
            return -abs(value)
        return value if self.better == "higher" else -value


_ENTRIES = (
    Metric(
        id="EN",
        title="entropy of the fused image, bits",
        better="higher",
        range=(0, 8),
        formula="-sum p_k log2 p_k over 256 grey levels",
        source="Roberts, van Aardt & Ahmed 2008; Evaluation-for-Image-Fusion",
        function=single.en,
        variants=(
            "Noise raises it: it rates the fused image alone, not what came from the sources.",
        ),
    ),
    Metric(
        id="SD",
        title="standard deviation of the fused image",
        better="higher",
        range=(0, 127.5),
        formula="sqrt(mean((F - mean F)^2))",
        source="Rao 1997; Evaluation-for-Image-Fusion SD_evaluation",
        function=single.sd,
        variants=("MFIF-Metrics averages the sample deviation of every column: 8 to 38 % lower.",),
    ),
    Metric(
        id="SF",
        title="spatial frequency of the fused image",
        better="higher",
        range=(0, 255 * math.sqrt(2)),
        minimum_size=2,
        formula="sqrt(mean of squared vertical + mean of squared horizontal first differences)",
        source="Eskicioglu & Fisher 1995; Evaluation-for-Image-Fusion SF_evaluation",
        function=single.sf,
        variants=(
            "VIFB and MFIF-Metrics divide both sums by the number of pixels: slightly lower.",
        ),
    ),
    Metric(
        id="AG",
        title="average gradient of the fused image",
        better="higher",
        range=(0, None),
        minimum_size=2,
        formula="sum sqrt((gx^2 + gy^2) / 2) / ((M-1)(N-1)), central differences",
        source="Cui et al. 2015; Evaluation-for-Image-Fusion AG_evaluation",
        function=single.ag,
        variants=(
            "CDDFuse and IVIF_ZOO divide by MN: lower by the factor (M-1)(N-1)/MN.",
            "MFIF-Metrics takes forward differences: 1 to 80 % higher.",
        ),
    ),
    Metric(
        id="MI",
        title="mutual information, bits, sum over the sources",
        better="higher",
        range=(0, 16),
        formula="I(A;F) + I(B;F), 256 x 256 joint histogram",
        source="Qu, Zhang & Yan 2002; Evaluation-for-Image-Fusion Hab, without its saturation",
        function=information.mi,
        variants=(
            "CDDFuse uses the natural logarithm: divide its value by ln 2.",
            "VIFB uses the natural logarithm after stretching the grey levels.",
            "Evaluation-for-Image-Fusion adds 1 to 8-bit levels, so that 254 and 255 share a bin "
            "of the joint histogram: very slightly higher on images that hold both.",
        ),
    ),
    Metric(
        id="Q_MI",
        title="normalised mutual information",
        better="higher",
        range=(0, 2),
        identity=2.0,
        formula="2 [I(A;F) / (H(A)+H(F)) + I(B;F) / (H(B)+H(F))]",
        source="Hossny, Nahavandi & Creighton 2008; MFIF-Metrics metricMI, mode 1",
        function=information.q_mi,
        variants=("IVIF_ZOO's NMI is 2 MI / (H(A)+H(B)): another quantity.",),
    ),
    Metric(
        id="Q_TE",
        title="Tsallis mutual information, order 0.43137",
        better="higher",
        range=(0, None),
        formula=(
            "(T(A,F) + T(B,F)) / (H(A)^q + H(B)^q + T(A,B)), "
            "T = (1 - sum h^q (u v)^(1-q)) / (1-q), q = 0.43137"
        ),
        source="Nava, Cristobal & Escalante-Ramirez 2007; imageFusionMetrics metricMI, mode 3",
        function=information.q_te,
        variants=(
            "The reference crosses the marginals u and v; so do we, or its values are missed.",
            "MFIF-Metrics calls mode 2 (Cvejic 2006, q = 1.85, not normalised): 3 to 10000.",
        ),
    ),
    Metric(
        id="Q_NCIE",
        title="nonlinear correlation information entropy",
        better="higher",
        range=(1 - math.log(3, 256), 1),
        formula="1 + sum (l/3) log_256 (l/3), l the eigenvalues of the matrix of I(X;Y) / 8 bits",
        source="Wang, Shen & Zhang 2005; MFIF-Metrics metricWang",
        function=information.q_ncie,
        variants=(
            "IVIF_ZOO puts Pearson's correlation in the matrix: another metric.",
            "Fusions lie within 0.803 to 0.85: the third and fourth digits tell.",
        ),
    ),
    Metric(
        id="Q_G",
        title="gradient preservation (Q^AB/F, Qabf)",
        better="higher",
        range=(0, 1),
        minimum_size=3,
        identity=0.9747936249694977,
        formula=(
            "sum(Q_AF g_A + Q_BF g_B) / sum(g_A + g_B), Q = sigmoid(strength) sigmoid(orientation)"
        ),
        source="Xydeas & Petrovic 2000; MFIF-Metrics metricXydeas",
        function=gradient.q_g,
        variants=(
            "imageFusionMetrics has other constants, wraps angles and averages a ratio per pixel: "
            "-0.23 to +0.11.",
            "Evaluation-for-Image-Fusion and CDDFuse treat equal strengths otherwise: up to 0.003, "
            "0.007 on small images.",
            "The best value is 0.975, not 1, by the constants of the paper.",
        ),
    ),
    Metric(
        id="Q_M",
        title="edges kept in two Haar levels",
        better="higher",
        range=(0, 3),
        minimum_size=4,
        identity=3.0,
        formula=(
            "Q_1^(2/3) Q_2^(1/3), Q_s = sum(E_A W_A + E_B W_B) / sum(W_A + W_B), "
            "E = sum of exp(-|difference|) over three bands, W = sum of their squares"
        ),
        source="Wang & Liu 2008; imageFusionMetrics metricPWW",
        function=frequency.q_m,
        variants=("Reaches 3, not 1, since three bands are added; needs grey levels 0..255.",),
    ),
    Metric(
        id="Q_SF",
        title="spatial frequency against the sources' best",
        better="zero",
        range=(-1, None),
        minimum_size=2,
        identity=0.0,
        formula="(SF_F - SF_R) / SF_R, four directions, SF_R from the larger source difference",
        source="Zheng, Essock, Hansen & Haun 2007; imageFusionMetrics metricZheng",
        function=frequency.q_sf,
        variants=(
            "Below 0 detail is lost, above 0 something was added (noise, ringing): 0 is best.",
        ),
    ),
    Metric(
        id="Q_P",
        title="phase congruency",
        better="higher",
        range=(-1, 1),
        minimum_size=8,
        formula=(
            "P_pc P_M P_m: largest local correlation with A, B or the stronger of both, "
            "averaged over features"
        ),
        source="Zhao, Laganiere & Liu 2007, on Kovesi's phasecong2; MFIF-Metrics metricZhao",
        function=phase.q_p,
        variants=(
            "imageFusionMetrics has an older low-pass filter: 3e-5 to 1.4e-3 apart on odd sizes.",
            "The references rate a constant fused image near 1; it has no value here.",
            "Fusions lie within 0 to 1; edges beside those of the sources give less than 0.",
        ),
    ),
    Metric(
        id="Q_S",
        title="similarity to the more varied source",
        better="higher",
        range=(-1, 1),
        minimum_size=8,
        identity=1.0,
        formula="mean(l Q0(A,F) + (1-l) Q0(B,F)), l = var A / (var A + var B), 8 x 8 windows",
        source="Piella & Heijmans 2003; MFIF-Metrics metricPeilla, mode 1",
        function=similarity.q_s,
        variants=(
            "imageFusionMetrics takes SSIM with a Gaussian window for Q0: much higher in flat or "
            "dark images.",
        ),
    ),
    Metric(
        id="Q_W",
        title="saliency-weighted similarity",
        better="higher",
        range=(-1, 1),
        minimum_size=8,
        identity=1.0,
        formula="sum c (l Q0(A,F) + (1-l) Q0(B,F)) / sum c, c = max(var A, var B)",
        source="Piella & Heijmans 2003, weighted; MFIF-Metrics metricPeilla, mode 2",
        function=similarity.q_w,
        variants=("imageFusionMetrics takes SSIM with a Gaussian window for Q0.",),
    ),
    Metric(
        id="Q_E",
        title="edge-dependent similarity",
        better="higher",
        range=(-1, 1),
        minimum_size=8,
        identity=1.0,
        formula="Q_W(A, B, F) Q_W(A', B', F'), ' the Prewitt edge strength",
        source="Piella & Heijmans 2003; MFIF-Metrics metricPeilla, mode 3",
        function=similarity.q_e,
        variants=("imageFusionMetrics stops with an error in this mode.",),
    ),
    Metric(
        id="Q_C",
        title="covariance-weighted similarity",
        better="higher",
        range=(-1, 1),
        minimum_size=11,
        identity=1.0,
        formula="mean(w Q0(A,F) + (1-w) Q0(B,F)), w = cov AF / (cov AF + cov BF) within 0..1",
        source="Cvejic, Loza, Bull & Canagarajah 2005; MFIF-Metrics metricCvejic, mode 2",
        function=similarity.q_c,
        variants=(
            "imageFusionMetrics clips the value instead of the weight (higher) and has none where "
            "a window is flat in all images.",
        ),
    ),
    Metric(
        id="Q_Y",
        title="similarity, averaged where the sources agree",
        better="higher",
        range=(-1, 1),
        minimum_size=11,
        identity=1.0,
        formula="mean of l S(A,F) + (1-l) S(B,F) where S(A,B) >= 0.75, else of max(S(A,F), S(B,F))",
        source="Yang, Zhang, Wang & Liu 2008; MFIF-Metrics metricYang",
        function=similarity.q_y,
        variants=(
            "On flat areas it is a ratio of rounding errors, and implementations differ in the "
            "third digit; a mean outside -1..1 is reported as no value.",
            "imageFusionMetrics has no value where both sources are flat in a window.",
        ),
    ),
    Metric(
        id="Q_CV",
        title="visible difference from the salient source",
        better="lower",
        range=(0, None),
        identity=0.0,
        formula=(
            "sum(l_A D_A + l_B D_B) / sum(l_A + l_B) over 16 x 16 blocks, l = sum of gradient^5, "
            "D = mean square of the difference as the eye's contrast sensitivity passes it"
        ),
        source="Chen & Varshney 2007; MFIF-Metrics metricChen",
        function=perception.q_cv,
    ),
    Metric(
        id="Q_CB",
        title="perceived contrast",
        better="higher",
        range=(0, 1),
        identity=1.0,
        formula="mean of the local contrast kept of A and B, weighted by their squared contrast",
        source="Chen & Blum 2009; MFIF-Metrics metricChenBlum",
        function=perception.q_cb,
        variants=(
            "IVIF_ZOO has half the frequency range and other grey levels.",
            "Black backgrounds amplify rounding: 1e-4 between implementations.",
        ),
    ),
    Metric(
        id="CC",
        title="linear correlation, mean over the sources",
        better="higher",
        range=(-1, 1),
        identity=1.0,
        formula="(corr(A,F) + corr(B,F)) / 2",
        source="Pearson's correlation; Evaluation-for-Image-Fusion CC_evaluation",
        function=deviation.cc,
    ),
    Metric(
        id="SCD",
        title="sum of the correlations of differences",
        better="higher",
        range=(-2, 2),
        formula="corr(F-B, A) + corr(F-A, B)",
        source="Aslantas & Bendes 2015; Evaluation-for-Image-Fusion analysis_SCD",
        function=deviation.scd,
        variants=("Subtracting 8-bit images without sign clips the differences: another number.",),
    ),
    Metric(
        id="VIF",
        title="visual information fidelity, sum over the sources",
        better="higher",
        range=(0, None),
        minimum_size=41,
        formula="VIF(A,F) + VIF(B,F), pixel domain, 4 scales, eye noise 2",
        source="Sheikh & Bovik 2006; Evaluation-for-Image-Fusion vifp_mscale",
        function=visual.vif,
        variants=(
            "Some papers print the mean of both: half.",
            "CDDFuse calls this number VIFF, which it is not.",
            "IVIF_ZOO pads with zeros and has a skewed Gaussian.",
        ),
    ),
    Metric(
        id="VIFF",
        title="visual information fidelity for fusion",
        better="higher",
        range=(0, None),
        minimum_size=41,
        formula=(
            "scales weighted 1, 0, 0.15, 1 over 2.15; each pixel from the source of smaller gain"
        ),
        source="Han, Cai, Cao & Xu 2013; MFIF-Metrics VIFF_Public",
        function=visual.viff,
        variants=(
            "CDDFuse prints VIF under this name.",
            "Where both gains are equal the second source is taken.",
        ),
    ),
    Metric(
        id="FMI",
        title="feature mutual information, pixels, 3 x 3 windows",
        better="higher",
        range=(None, None),
        minimum_size=3,
        identity=1.0,
        formula="mean over windows of [I(A;F) / (H(A)+H(F)) + I(B;F) / (H(B)+H(F))]",
        source="Haghighat & Razian 2014; Evaluation-for-Image-Fusion analysis_fmi, feature 'none'",
        function=fmi.fmi,
        variants=(
            "A window may score below 0 or above 1, so that no range is certain.",
            "The code's default feature is MATLAB's edge map, and papers print it as FMI_pixel.",
            "FMI with gradient, DCT or wavelet features is another number.",
            "Two flat windows count 1 and a flat one beside another 0: in the reference this hangs "
            "on rounding.",
        ),
    ),
    Metric(
        id="N_ABF",
        title="gradient that no source has",
        better="lower",
        range=(0, 1),
        minimum_size=2,
        identity=0.0,
        formula="sum over g_F > max(g_A, g_B) of [(1-Q_AF) w_A + (1-Q_BF) w_B] / sum(w_A + w_B)",
        source=(
            "Petrovic & Xydeas 2004, modified by Shreyamsha Kumar 2013; "
            "Evaluation-for-Image-Fusion analysis_nabf"
        ),
        function=gradient.n_abf,
    ),
    Metric(
        id="SSIM",
        title="structural similarity, mean over the sources",
        better="higher",
        range=(-1, 1),
        minimum_size=11,
        identity=1.0,
        formula="(SSIM(A,F) + SSIM(B,F)) / 2, Gaussian window 11 x 11, sigma 1.5, L = 255",
        source="Wang et al. 2004; ssim_index, valid region",
        function=similarity.ssim,
        variants=(
            "CDDFuse, IVIF_ZOO and VIFB print the sum of both: 0 to 2.",
            "Evaluation-for-Image-Fusion passes 0..255 as if the range were 1: lower in flat "
            "areas.",
        ),
    ),
    Metric(
        id="MS_SSIM",
        title="multi-scale structural similarity, mean over the sources",
        better="higher",
        range=(0, 1),
        minimum_size=161,
        identity=1.0,
        formula="(MS(A,F) + MS(B,F)) / 2, 5 scales, weights 0.0448 0.2856 0.3001 0.2363 0.1333",
        source="Wang, Simoncelli & Bovik 2003; pytorch-msssim 1.0",
        function=similarity.ms_ssim,
        variants=(
            "Evaluation-for-Image-Fusion prints MEF-SSIM (Ma 2015) with 3 scales under this name.",
            "IVIF_ZOO prints the sum over the sources.",
        ),
    ),
    Metric(
        id="PSNR",
        title="peak signal-to-noise ratio in dB of the mean error",
        better="higher",
        range=(0, None),
        formula="10 log10(255^2 / MSE), MSE averaged over the sources",
        source="closed form",
        function=deviation.fusion_psnr,
        variants=(
            "Evaluation-for-Image-Fusion and IVIF_ZOO mix 255 with images of 0..1: 48.13 dB more.",
            "CDDFuse takes the fused image's highest level for the peak.",
        ),
    ),
    Metric(
        id="MSE",
        title="squared error in grey levels, mean over the sources",
        better="lower",
        range=(0, 255**2),
        identity=0.0,
        formula="(mean((A-F)^2) + mean((B-F)^2)) / 2",
        source="closed form",
        function=deviation.mse,
        variants=(
            "Evaluation-for-Image-Fusion and IVIF_ZOO measure images of 0..1: 65025 times lower.",
            "VIFB's mse is the norm of the difference over the number of pixels, not a square.",
        ),
    ),
)

METRICS: dict[str, Metric] = {metric.id: metric for metric in _ENTRIES}

DRFUSION_TABLE = ("Q_MI", "Q_NCIE", "Q_G", "Q_P", "Q_CB", "Q_W")
"""The six columns of the DRFusion tables, in their order."""
RECOFUSE_TABLE = ("SD", "MI", "EN", "CC", "SCD", "VIF")
"""The six columns of the ReCoFuse tables, in their order."""
