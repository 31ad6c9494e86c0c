"""What an evaluation found: scores by method and pair, restored sources, failures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drfuse_cli.metrics import Metric, Score


@dataclass(frozen=True)
class PairScores:
    """The scores of one fused image, by metric ID."""

    name: str
    scores: dict[str, Score]


@dataclass(frozen=True)
class MethodScores:
    """One method on every pair it was scored on; ``seconds_per_pair`` where drfuse ran it."""

    name: str
    pairs: tuple[PairScores, ...]
    seconds_per_pair: float | None = None

    def values(self, metric: str) -> list[float]:
        """The defined values of a metric, in the order of the pairs."""
        found = (pair.scores[metric].value for pair in self.pairs)
        return [value for value in found if value is not None]

    def mean(self, metric: str) -> float | None:
        """The mean over the pairs on which the metric is defined; None where it never is."""
        return mean(self.values(metric))

    def std(self, metric: str) -> float | None:
        """The population standard deviation over the same pairs."""
        values = self.values(metric)
        middle = mean(values)
        if middle is None:
            return None
        return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / len(values))


@dataclass(frozen=True)
class Restoration:
    """How close both sources came to the clean ones: luma PSNR in dB by pair.

    ``name`` is what made them: ``degraded`` (the inputs, enlarged bicubically where they are
    smaller), ``lift`` or ``restore`` (classical), or a fusing method that restores. ``None``
    stands for equal images.
    """

    name: str
    pairs: dict[str, tuple[float | None, float | None]]

    def mean(self, source: int) -> float | None:
        """The mean PSNR of source 1 or 2 over the pairs where it is finite."""
        values = (pair[source - 1] for pair in self.pairs.values())
        return mean(value for value in values if value is not None)


@dataclass(frozen=True)
class Failure:
    """A pair that could not be scored, and why; ``method`` is None where no method could."""

    pair: str
    method: str | None
    message: str


@dataclass(frozen=True)
class Verdict:
    """A gate, and whether the mean it is about passed; ``value`` is None where there is none."""

    gate: str
    method: str
    metric: str
    value: float | None
    passed: bool
    missed_by: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """All that a report shows.

    ``degrade`` names what was done to the clean pairs, None where fused images were scored as
    they lie there. ``settings`` is ready for JSON: what it takes to do the same again.
    """

    task: str
    degrade: str | None
    dataset: str
    metrics: tuple[Metric, ...]
    methods: tuple[MethodScores, ...]
    warnings: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    pairs: tuple[str, ...] = ()
    """Names of all pairs of the data set in natural order, those that failed included."""
    restorations: tuple[Restoration, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[Verdict, ...] = ()

    def ranks(self, metric: Metric) -> dict[str, int]:
        """The place of every method by its mean, 1 the best; equal means share a place.

        Methods without a mean have no place.
        """
        means = {method.name: method.mean(metric.id) for method in self.methods}
        merits = {name: metric.merit(mean) for name, mean in means.items() if mean is not None}
        return {
            name: 1 + sum(other > merit for other in merits.values())
            for name, merit in merits.items()
        }


def mean(values: Iterable[float]) -> float | None:
    """The mean, None of nothing; the same to the last bit in any order."""
    found = list(values)
    return math.fsum(found) / len(found) if found else None
