"""The parts of ``report.html`` that no click changes, as HTML.

Every text from outside goes through `escaped`.
"""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Sequence

from drfuse_cli import __version__
from drfuse_cli.evaluation.results import Evaluation, MethodScores, Verdict
from drfuse_cli.metrics import Metric, Score

ROLES = {
    "ivif": ("infrared", "visible"),
    "medical": ("structural", "functional"),
    "multifocus": ("near focus", "far focus"),
}
ARROWS = {"higher": "↑", "lower": "↓", "zero": "→0"}
WORDS = {"higher": "higher is better", "lower": "lower is better", "zero": "nearer to 0 is better"}
DASH = "–"
FEW = 5
"""Notes up to this number stand open."""


def facts(evaluation: Evaluation) -> str:
    """What was evaluated, as the inside of a ``dl``."""
    passed = sum(verdict.passed for verdict in evaluation.gates)
    known = {
        "Data set": evaluation.dataset,
        "Task": f"{evaluation.task} ({' and '.join(roles_of(evaluation.task))})",
        "Degradation": evaluation.degrade or "none: fused images as they lay there",
        "Metrics": str(len(evaluation.metrics)),
        "Gates": f"{passed} of {len(evaluation.gates)} passed" if evaluation.gates else "",
        "drfuse": __version__,
    }
    return "".join(
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"
        for name, value in known.items()
        if value
    )


def notes(evaluation: Evaluation) -> str:
    """Missed gates, failures and warnings."""
    failures = [
        f"{failure.pair}{f', {failure.method}' if failure.method else ''}: {failure.message}"
        for failure in evaluation.failures
    ]
    missed = [_verdict(verdict) for verdict in evaluation.gates if not verdict.passed]
    kinds = (
        ("missed gate", missed),
        ("failure", failures),
        ("warning", list(evaluation.warnings)),
    )
    return "".join(
        f'<details class="note {kind}"{" open" if len(texts) <= FEW else ""}>'
        f"<summary>{count(len(texts), kind)}</summary>{_items(texts)}</details>"
        for kind, texts in kinds
        if texts
    )


def _verdict(verdict: Verdict) -> str:
    value = "has no value" if verdict.value is None else f"is {verdict.value:.6g}"
    by = "" if verdict.missed_by is None else f", missed by {verdict.missed_by:.3g}"
    return f"{verdict.gate}: {verdict.metric} of {verdict.method} {value}{by}"


def _items(texts: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{escaped(text)}</li>' for text in texts)}</ul>"


def table(evaluation: Evaluation) -> str:
    """Mean and spread by method and metric, as the inside of a ``table``."""
    marks = {metric.id: _marks(evaluation, metric) for metric in evaluation.metrics}
    heads = "".join(
        f'<th scope="col" data-better="{metric.better}"><button type="button" '
        f'title="{escaped(f"{metric.title}; {WORDS[metric.better]}. {metric.source}")}">'
        f'{escaped(metric.id)}<span aria-hidden="true"> {ARROWS[metric.better]}</span>'
        "</button></th>"
        for metric in evaluation.metrics
    )
    rows = "".join(
        f'<tr><th scope="row" title="{escaped(method.name)}">{escaped(method.name)}</th>'
        + "".join(
            _cell(evaluation, method, metric, marks[metric.id].get(method.name, ""))
            for metric in evaluation.metrics
        )
        + _seconds(method.seconds_per_pair)
        + "</tr>"
        for method in evaluation.methods
    )
    return (
        '<thead><tr><th scope="col" data-better="name"><button type="button">Method</button></th>'
        f'{heads}<th scope="col" data-better="lower"><button type="button" '
        'title="Seconds per pair; lower is better">s/pair<span aria-hidden="true"> ↓</span>'
        f"</button></th></tr></thead><tbody>{rows}</tbody>"
    )


def _marks(evaluation: Evaluation, metric: Metric) -> dict[str, str]:
    """``best`` and ``second`` by method; nothing to mark where there is one method only."""
    places = {1: "best", 2: "second"} if len(evaluation.methods) > 1 else {}
    ranks = evaluation.ranks(metric)
    return {name: places[rank] for name, rank in ranks.items() if rank in places}


def _cell(evaluation: Evaluation, method: MethodScores, metric: Metric, mark: str) -> str:
    mean, std = method.mean(metric.id), method.std(metric.id)
    lost = _lost(method, metric.id)
    why = "; ".join(f"{count(n, 'pair')} without a value: {text}" for text, n in lost.items())
    title = f' title="{escaped(why)}"' if why else ""
    if mean is None:
        return f'<td{title}><span class="none">{DASH}</span></td>'
    digits = decimals(evaluation, metric)
    tag = {"best": "b", "second": "u"}.get(mark)
    figure = f"{mean:.{digits}f}"
    figure = f"<{tag}>{figure}</{tag}>" if tag else figure
    spread = "" if std is None else f"<small>±{std:.{digits}f}</small>"
    return f'<td data-value="{mean!r}"{title}>{figure}{"*" if lost else ""}{spread}</td>'


def _seconds(value: float | None) -> str:
    if value is None:
        return f'<td><span class="none">{DASH}</span></td>'
    return f'<td data-value="{value!r}">{value:.3g}</td>'


def _lost(method: MethodScores, metric: str) -> Counter[str]:
    """Why pairs have no value, and how many."""
    values = scores_of(method, metric).values()
    return Counter(score.reason or "undefined" for score in values if score.value is None)


def missing(evaluation: Evaluation) -> str:
    """Why values are missing; empty where none is."""
    lines = [
        f"{method.name}, {metric.id}: {reason} ({count(number, 'pair')})"
        for method in evaluation.methods
        for metric in evaluation.metrics
        for reason, number in _lost(method, metric.id).items()
    ]
    if not lines:
        return ""
    return (
        "<details><summary>Values that do not exist</summary><p>A dash stands where no pair has "
        f"a value, a star where the mean leaves pairs out.</p>{_items(lines)}</details>"
    )


def restorations(evaluation: Evaluation) -> str:
    """How close the restored sources came; empty where nothing was restored."""
    if not evaluation.restorations:
        return ""
    heads = "".join(f'<th scope="col">{escaped(role)}</th>' for role in roles_of(evaluation.task))
    rows = "".join(
        f'<tr><th scope="row">{escaped(restoration.name)}</th>'
        + "".join(f"<td>{_decibel(restoration.mean(source))}</td>" for source in (1, 2))
        + "</tr>"
        for restoration in evaluation.restorations
    )
    return (
        "<h3>Restored sources</h3>"
        '<p class="hint">Mean luma PSNR in dB against the clean sources.</p>'
        '<div class="scroll narrow" tabindex="0" role="region" aria-label="Restored sources">'
        f'<table><thead><tr><th scope="col">Made by</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _decibel(value: float | None) -> str:
    return f'<span class="none">{DASH}</span>' if value is None else f"{value:.2f}"


def settings(evaluation: Evaluation) -> str:
    """What it takes to do the same again; empty where nothing is known."""
    if not evaluation.settings:
        return ""
    text = json.dumps(dict(evaluation.settings), indent=2, ensure_ascii=False, default=str)
    return f"<details><summary>Settings</summary><pre>{escaped(text)}</pre></details>"


def glossary(metrics: Sequence[Metric]) -> str:
    """A row a metric: how to read it, where it is from, what other tools do."""
    return "".join(
        f'<tr><th scope="row">{escaped(metric.id)} {ARROWS[metric.better]}</th>'
        f"<td>{escaped(metric.title)}<code>{escaped(metric.formula)}</code></td>"
        f"<td>{escaped(_range(metric))}</td><td>{escaped(metric.source)}</td>"
        f"<td>{escaped(' '.join(metric.variants))}</td></tr>"
        for metric in metrics
    )


def _range(metric: Metric) -> str:
    low, high = metric.range
    return f"{'−∞' if low is None else f'{low:.4g}'} … {'∞' if high is None else f'{high:.4g}'}"


# ---- shared -----------------------------------------------------------------------------------


def count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def roles_of(task: str) -> tuple[str, str]:
    """What sources 1 and 2 are."""
    return ROLES.get(task, ("source 1", "source 2"))


def scores_of(method: MethodScores, metric: str) -> dict[str, Score]:
    """The method's scores of a metric by pair."""
    return {pair.name: pair.scores[metric] for pair in method.pairs if metric in pair.scores}


def decimals(evaluation: Evaluation, metric: Metric) -> int:
    """Four significant digits of the largest mean, and no more than four behind the point."""
    means = [abs(method.mean(metric.id) or 0.0) for method in evaluation.methods]
    return next((n for n, limit in ((4, 2), (3, 10), (2, 100)) if max(means, default=0) < limit), 1)


def escaped(value: str) -> str:
    """Any text as HTML; bytes of a name that are no UTF-8 become escapes."""
    return html.escape(value.encode("utf-8", "backslashreplace").decode("utf-8"))
