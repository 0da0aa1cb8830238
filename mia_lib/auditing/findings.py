"""What an audit says in words: first whether its numbers can be trusted, then what an accuser can prove."""

from collections.abc import Sequence

import pandas as pd

from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.trial import Trial
from mia_lib.evaluation.intervals import FEW_CLUSTERS, Measure
from mia_lib.evaluation.one_run import DELTA
from mia_lib.evaluation.rates import FPR_LEVELS
from mia_lib.evaluation.reading import measure_of
from mia_lib.evaluation.resolution import measurable
from mia_lib.evaluation.strongest import STRONGEST

CHANCE = 0.5
NEAR = 0.03  # of chance: a control whose whole interval lies so near is at chance
OPEN = 0.1  # above chance: a control whose interval reaches so far leaves open that it finds something


def number(results: pd.DataFrame, attack: str, measure: str = "auc", control: str = "") -> Measure | None:
    """One number of an audit's results; None where it has none."""
    rows = results[(results["attack"] == attack) & (results["measure"] == measure) & (results["control"] == control)]
    return measure_of(rows.iloc[0]) if len(rows) else None


def findings(
    evidence: Evidence, results: pd.DataFrame, trials: list[Trial], strongest: str, balance: Sequence[str] = ()
) -> list[str]:
    """Sentences on an audit, the most important first, each rendered from the results; strongest: the attack's name. balance:
    what `balance.balance` says."""
    said = [*confounded(results), *balance, *_protocol(evidence), *_sizes(evidence, trials)]
    return [*said, *_strongest(results, trials, strongest), *_control(results, strongest), *_epsilon(results)]


def confounded(results: pd.DataFrame) -> list[str]:
    found = number(results, "blind")
    if found is None:
        return [
            "No statistics of the sound were given (blind): whether the two sides differ for other reasons than training is "
            "not known."
        ]
    if found.low > CHANCE:
        return [
            f"Members and non-members can be told apart without asking the model (blind AUC {found.text()}): they differ for "
            "other reasons than training, and no attack's number is by itself evidence of what the model remembers."
        ]
    best = number(results, STRONGEST)
    if best is not None and best.low > CHANCE and found.high >= best.value:
        return [
            "Whether members and non-members can be told apart without asking the model is not known: the interval of the "
            f"blind baseline (AUC {found.text()}) holds chance, and also all that the strongest attack finds."
        ]
    return [f"Without asking the model, members and non-members are not told apart (blind AUC {found.text()})."]


def _protocol(evidence: Evidence) -> list[str]:
    shared = set(evidence.speaker[evidence.member == 1]) & set(evidence.speaker[evidence.member == 0])
    if evidence.protocol == "speaker":
        return [
            "No speaker is on both sides: what is measured is whether a person is in the training set (protocol speaker)."
        ]
    if not evidence.speakers_known:
        return ["Who speaks is not known: intervals draw recordings, and are too narrow if one person has several."]
    if not shared:
        return [
            "No speaker is on both sides, yet recordings were asked about (protocol utterance): both effects are mixed."
        ]
    return ["Speakers are on both sides: what is measured is whether a recording was trained on (protocol utterance)."]


def non_members(trials: list[Trial]) -> int:
    """How many non-members were judged one by one, recordings or persons; by the attack that judged the most."""
    return max(int((~one.found.audit.member).sum()) for one in trials)


def _sizes(evidence: Evidence, trials: list[Trial]) -> list[str]:
    others = non_members(trials)
    said = []
    if not measurable(FPR_LEVELS["tpr_at_fpr_1e-2"], others):
        said.append(f"With {others} non-members nothing below {100 / others:.1f} % false alarms can be seen.")
    names = evidence.speaker if evidence.speakers_known else evidence.recording
    units = min(len(set(names[evidence.member == side])) for side in (0, 1))
    if units < FEW_CLUSTERS:
        what = "speakers" if evidence.speakers_known else "recordings"
        said.append(
            f"With {units} {what if units > 1 else what[:-1]} on the smaller side the intervals may be too narrow."
        )
    return said


def _strongest(results: pd.DataFrame, trials: list[Trial], name: str) -> list[str]:
    """What the attack that lies farthest from chance finds; one whose scores are worse than chance is not called strong."""
    best, own = number(results, STRONGEST), number(results, name)
    if best is None:
        return []
    auc = f"AUC {best.text()}, with the interval of the largest of several"
    if own is not None and own.value < CHANCE:
        if best.low <= CHANCE:
            return [
                f"None of {len(trials)} attacks is told from guessing; the one that lies farthest from it, {name}, is worse "
                f"than a guess (AUC {own.text()})."
            ]
        return [
            f"Of {len(trials)} attacks none lies farther from chance than {name}, whose scores are worse than chance (AUC "
            f"{own.text()}): they are higher for non-members. Only who turns them round tells members from others ({auc})."
        ]
    word = "tells members from non-members" if best.low > CHANCE else "is not told from guessing"
    return [f"The strongest of {len(trials)} attacks, {name}, {word} ({auc})."]


def _control(results: pd.DataFrame, strongest: str) -> list[str]:
    """What the strongest attack says of a model that saw nothing, where one is given."""
    found, own = number(results, strongest, control="unexposed"), number(results, strongest)
    if found is None or own is None:
        return []
    if own.value < CHANCE:  # turned round
        found, own = (Measure(1 - one.value, 1 - one.high, 1 - one.low, one.n) for one in (found, own))
    if found.low > CHANCE:
        return [
            f"It finds as much in a model that trained on none of this (AUC {found.text()}): that is no memory of training."
            if found.high >= own.value
            else f"It finds something in a model that trained on none of this too (AUC {found.text()}): so much is no memory "
            "of training."
        ]
    if found.high < CHANCE:
        return [
            f"On a model that trained on none of this it is worse than chance (AUC {found.text()}): what it scores is not "
            "memory alone."
        ]
    if found.high >= max(own.value, CHANCE + OPEN):
        return [
            f"What it finds in a model that trained on none of this is too uncertain to be a control (AUC {found.text()}): "
            "the interval holds chance, and also what is found here."
        ]
    word = "at chance" if found.low >= CHANCE - NEAR and found.high <= CHANCE + NEAR else "not told from chance"
    return [f"On a model that trained on none of this it is {word}, as it should be (AUC {found.text()})."]


def _epsilon(results: pd.DataFrame) -> list[str]:
    rows = results[(results["measure"] == "epsilon_steinke") & (results["control"] == "")]
    if not len(rows):
        return []
    best = rows.loc[rows["value"].idxmax()]
    proven = f"epsilon {best['value']:.2f} at a delta of {DELTA:g}"
    return [f"From this run alone, training is not more private than {proven} ({best['attack']}; 95 %)."]
