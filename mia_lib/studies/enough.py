"""Whether a corpus leaves enough for what is to be studied, found before anything is trained: the studies draw who trains on
what, and it is counted."""

import copy
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from mia_lib.attacks.quantile import FEWEST
from mia_lib.defenses.base import FAMILIES, make_defense
from mia_lib.fragments.cutting import Fragments
from mia_lib.fragments.splits import HELD_OUT, KNOWLEDGE, POPULATION, PROTOCOLS, REFERENCE, TRAIN, Split
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.defended import DefenseEvaluation
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.selection import candidates
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.errors import MiaError
from mia_lib.support.settings import Settings

PERSONS = 2  # on each side of an audit: one alone cannot tell how far another would be from it
TRAINED = 2  # fragments of each model, or one batch could not be normalised
SHARED = 4  # recordings of a model of which each teacher hears half
FARTHEST = 400  # speakers, utterances; looked for no further
FRACTIONS = np.arange(1, 20) / 20

Counted = tuple[str, int, int]
"""What is counted, in words, how many there are, and how many are needed."""


def check_enough(dataset: Dataset, work: Collection[str], table: pd.DataFrame) -> None:
    """Raise MiaError, with the smallest numbers that work, unless the rows of `table` do for what `work` stands for.

    table: one row per fragment, columns `speaker`, `source` and `subset`. work: `targets`, `references` or families of
    defenses, as notebooks say it.
    """
    few = shortage(dataset, work, _thinned(table))
    if few:
        ways = " or ".join(_ways(dataset, work, table))
        raise MiaError(f"{_described(dataset.settings, table)} {few}" + (f": use {ways}" if ways else ""))


def could_do(dataset: Dataset, work: Collection[str], chosen: pd.DataFrame) -> None:
    """`check_enough` of recordings that are not cut yet: each may turn out to have as many fragments as anything needs."""
    recordings = chosen.drop_duplicates("source")
    check_enough(dataset, work, recordings.loc[recordings.index.repeat(FEWEST)])


def shortage(dataset: Dataset, work: Collection[str], table: pd.DataFrame, **changed) -> str:
    """What there is too little of, in words, where `table` holds the fragments and some settings are `changed`."""
    trial = copy.copy(dataset)
    trial.settings = replace(dataset.settings, **changed)
    trial.fragments = Fragments(np.empty((0, 0), np.int16), table.reset_index(drop=True), {}, "")
    counted = _counted(ShadowStudy(trial), work) if work else ()
    try:
        return next(
            (f"leave {have} {what}, where {need} are needed" for what, have, need in counted if have < need), ""
        )
    except MiaError as error:
        return f"are too few: {error}"


def _counted(study: ShadowStudy, work: Collection[str]) -> Iterator[Counted]:
    """All that studies need some of."""
    families = [family for family in FAMILIES if family in work]
    yield from _of_targets(study)
    if families:
        yield from _of_targets(study.validation())
    if any(make_defense(name).needs_reference for family in families for name in candidates(family)):
        yield "fragments set aside for defenses that are given some", _fewest(study.splits, REFERENCE), TRAINED
    references = [ReferenceStudy(study)] if "references" in work else []
    if families:
        evaluation = DefenseEvaluation(study, "none")
        references += [evaluation.references, DefenseEvaluation(study.validation(), "none").few]
    for reference in references:
        yield from _of_references(reference, FEWEST if "references" in work else TRAINED)
    if "distillation" in families:
        recordings = min(_recordings(one.manifest, split) for one in (study, *references) for split in one.splits)
        yield "recordings that a model trains on whose teachers share them", recordings, SHARED


def _of_targets(study: ShadowStudy) -> Iterator[Counted]:
    yield "fragments that a model trains on", _fewest(study.splits, TRAIN), TRAINED
    targets = [study.splits[k] for k in study.targets()]
    for protocol in PROTOCOLS:
        for side, role in zip(("members", "non-members"), _sides(protocol), strict=True):
            persons = min(study.manifest["speaker"][split.role == role].nunique() for split in targets)
            yield f"speakers among the {side} of protocol {protocol!r}", persons, PERSONS
            yield f"{side} of a shadow model", _fewest(study.splits, role), 1


def _sides(protocol: str) -> tuple[int, int]:
    return KNOWLEDGE[protocol].members, KNOWLEDGE[protocol].non_members


def _of_references(study: ReferenceStudy, population: int) -> Iterator[Counted]:
    coins = study.splits[: study.count]
    yield "fragments that a reference model trains on", _fewest(coins, TRAIN), TRAINED
    yield "fragments that a reference model does not train on", _fewest(coins, HELD_OUT), 1
    yield "fragments set aside from all reference models", _fewest(coins[:1], POPULATION), population


def _fewest(splits: Collection[Split], role: int) -> int:
    return min(int((split.role == role).sum()) for split in splits)


def _recordings(manifest: pd.DataFrame, split: Split) -> int:
    return manifest["source"][split.role == TRAIN].nunique()


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    """At most FEWEST fragments of each source: nothing needs more, and who trains on what goes by sources."""
    return table.groupby("source", observed=True, sort=False).head(FEWEST)


def _described(settings: Settings, table: pd.DataFrame) -> str:
    """The corpus as splits see it."""
    speakers, sources = _size(table)
    patience = f", patience={settings.patience}" if settings.patience else ""
    return f"{speakers} speakers with {sources} utterances or more{patience} and train_fraction={settings.train_fraction:g}"


def _size(table: pd.DataFrame) -> tuple[int, int]:
    """Speakers, and the sources of the one who has the fewest."""
    sources = table.groupby("speaker", observed=True)["source"].nunique()
    return len(sources), int(sources.min())


def _made_up(table: pd.DataFrame, speakers: int, sources: int) -> pd.DataFrame:
    """So many speakers with so many sources each, cut into as many fragments as those of `table` are."""
    each = min(FEWEST, max(1, len(table) // table["source"].nunique()))
    names = [(f"{s:04}", f"{s:04}-{u:04}", "") for s in range(speakers) for u in range(sources) for _ in range(each)]
    return pd.DataFrame(names, columns=["speaker", "source", "subset"])


def _ways(dataset: Dataset, work: Collection[str], table: pd.DataFrame) -> Iterator[str]:
    """What would be enough, each by the smallest change: more utterances, more speakers, or another setting."""
    s, (speakers, sources) = dataset.settings, _size(table)

    def works(people: int, utterances: int, **changed) -> bool:
        return not shortage(dataset, work, _made_up(table, people, utterances), **changed)

    if (least := _smallest(sources, lambda n: works(speakers, n))) is not None:
        yield f"max_utterances={least}" if 0 < s.max_utterances <= sources else f"{least} utterances of each speaker"
    if (least := _smallest(speakers, lambda n: works(n, sources))) is not None:
        yield f"max_speakers={least}" if 0 < s.max_speakers <= speakers else f"{least} speakers"
    nearest = sorted(FRACTIONS, key=lambda fraction: abs(fraction - s.train_fraction))
    if (found := next((f for f in nearest if works(speakers, sources, train_fraction=f)), None)) is not None:
        yield f"train_fraction={found:g}"
    if s.patience and works(speakers, sources, patience=0):
        yield "patience=0"


def _smallest(now: int, works: Callable[[int], bool]) -> int | None:
    """The smallest number above the present one that works; None if there is none in sight."""
    span = range(now + 1, FARTHEST)
    found = bisect_left(span, True, key=works)
    while 0 < found < len(span) and works(span[found - 1]):  # rounding makes some larger numbers fail
        found -= 1
    return span[found] if found < len(span) else None
