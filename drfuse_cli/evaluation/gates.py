"""Gates: means that must be reached, for other people's continuous integration."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.results import Evaluation, Verdict

_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_FORM = re.compile(r"(?:(?P<method>.+):)?\s*(?P<metric>\w+)\s*(?P<sign>[<>]=?)\s*(?P<bound>\S+)")


@dataclass(frozen=True)
class Gate:
    """``Q_G>=0.4`` for the mean of one method."""

    method: str
    metric: str
    sign: str
    bound: float

    def judge(self, evaluation: Evaluation) -> Verdict:
        """Whether the mean is there and on the right side of the bound."""
        means = {method.name: method.mean(self.metric) for method in evaluation.methods}
        value = means.get(self.method)
        passed = value is not None and bool(_COMPARE[self.sign](value, self.bound))
        text = f"{self.metric}{self.sign}{self.bound:g}"
        missed_by = None if passed or value is None else abs(value - self.bound)
        return Verdict(text, self.method, self.metric, value, passed, missed_by)


def parse_gates(
    texts: Iterable[str], metrics: Sequence[str], methods: Sequence[str], judged: Sequence[str]
) -> list[Gate]:
    """The gates of ``METRIC>=BOUND`` or ``METHOD:METRIC>=BOUND``, between commas or repeated.

    A gate without a method holds for every one of ``judged``. Raises ``DrfuseError`` for what
    has another form, and for a metric or a method that is not scored.
    """
    words = [word.strip() for text in texts for word in text.split(",")]
    return [gate for word in words for gate in _parse(word, metrics, methods, judged)]


def _parse(
    text: str, metrics: Sequence[str], methods: Sequence[str], judged: Sequence[str]
) -> list[Gate]:
    found = _FORM.fullmatch(text)
    bound = _number(found["bound"]) if found else None
    if found is None or bound is None:
        raise DrfuseError(f"--gate: {text!r} is no condition", hint="Write one such as 'Q_G>=0.4'.")
    metric = _known("metric", found["metric"], metrics)
    named = [_known("method", found["method"], methods)] if found["method"] else judged
    return [Gate(method, metric, found["sign"], bound) for method in named]


def _known(kind: str, name: str, scored: Sequence[str]) -> str:
    by_case = {known.casefold(): known for known in scored}
    known = by_case.get(name.strip().casefold())
    if known is None:
        raise DrfuseError(
            f"--gate: the {kind} {name} is not scored", hint=f"Scored here: {', '.join(scored)}."
        )
    return known


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
