"""A folder of frames as a sequence: what all of its pairs have been through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from drfuse_cli.config import Pair
from drfuse_cli.degradations.stripes import find_common_stripes
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.sequence.steady import evenly, steady
from drfuse_cli.sources import Assumptions, at_levels, read_pair, take_pair
from drfuse_cli.sources.intake import Intake, mapped
from drfuse_cli.sources.levels import find_common


def settled(told: Assumptions, pairs: Sequence[Pair]) -> Assumptions:
    """The same assumptions about every pair, from a sample of them over the whole sequence.

    What cannot be read is passed over here, and said when its turn comes. Raises
    ``DrfuseError`` where nothing of the sample can be used.
    """
    sample = evenly(pairs)
    told = replace(
        told,
        levels=find_common(_readable(sample, told), told.task, told.agc),
        overrides=at_levels(told.overrides, _readable(sample, told)),
    )
    if told.destripe != "none":
        grey = [mapped(files, told)[0][0] for files in _readable(sample, told)]
        told = replace(told, stripes=find_common_stripes(grey, told.destripe))
    intakes: list[Intake] = []

    def taken() -> Iterator[tuple[Image, Image]]:
        for files in _readable(sample, told):
            images, intake = take_pair(files, told)
            intakes.append(intake)
            yield images

    assumed = steady(told, taken())
    return replace(told, settled=intakes[0].as_taken(assumed))


def _readable(pairs: Sequence[Pair], told: Assumptions) -> Iterator[tuple[Image, Image]]:
    failure: DrfuseError | None = None
    count = 0
    for pair in pairs:
        try:
            images = read_pair((pair.source1, pair.source2), told)
        except DrfuseError as error:
            failure = failure or error
            continue
        count += 1
        yield images
    if failure is not None and not count:
        raise failure
