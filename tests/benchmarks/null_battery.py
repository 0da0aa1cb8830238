"""Does anything but the question leak? Run by hand, nothing is asserted:

    PYTHONPATH=tests python tests/benchmarks/null_battery.py [--study references] [--behind memguard] [--kind noise]
        [--attack lira] [--draws 200] [--first 0] [--thresholds]

The full version of what `tests/attacks/test_chance.py` checks in small: every registered attack, under every protocol, behind
everything that a defense can change, on answers that are noise and on answers that depend on the speaker and the recording
alone. It takes hours, behind MemGuard most.

A row is a cell of so many draws, each a split, a target and answers of its own. Of reference models behind MemGuard each is
the mean over six targets. Columns, in percent with their standard errors and how many of these they are from 0: mean AUC less
one half; true less false positives at a threshold of 1 % known false positives; true positives at 1 % of the audit's own
non-members less their chance (where answers are noise: of alike non-members it is another); true less false positives at the
threshold that was learnt with the attack (on references with --thresholds only). Last, the false positives of the second. Of
80 sound numbers one lies beyond 2.5: look at it with other seeds (--first) before you believe it.
"""

import argparse
import warnings

import numpy as np
import sklearn
from attacks.null_world import (
    NOISE,
    VOICES,
    World,
    alarms,
    auc,
    behind,
    decisions,
    deviation,
    found,
    label,
    persons,
    questions,
    references,
    shadows,
)

from mia_lib.attacks import ATTACKS
from mia_lib.support.errors import MiaError

BOUND = 2.5
COSTLY = ("memguard",)  # behind these all reference models of a world are attacked, and count as one draw


def nothing_rehearsed(*_):
    """In place of scores to learn a threshold from, which takes thrice the time."""
    return np.array([0.0, 1.0]), np.array([False, True])


def measured(asked, place, kind, options):
    """Of one cell: four numbers a draw, and the false positives at the nominal rate."""
    study, question = asked
    targets = 10 if study is not references else 6 if place in COSTLY else 1
    draws = targets if study is not references else 1  # of a world
    audits = []
    for i in range(-(-options.draws // targets)):
        world = study(World(10_000 * behind().index(place) + options.first + i, place, kind, targets))
        if study is references and not options.thresholds:
            world.rehearsed = nothing_rehearsed
        audits += world.ask(question)
    true, false = alarms(audits, together=targets)
    rows = [[auc(audit) - 0.5 for audit in audits], true - false, found(audits), [decisions(audit) for audit in audits]]
    return np.array(rows).reshape(len(rows), -1, targets // draws).mean(-1), false.mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("study", "behind", "kind", "attack"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--thresholds", action="store_true")
    options = parser.parse_args()
    numbers, beyond = 0, []
    print(f"{'attack':24s}{'asked':22s}{'behind':28s}{'answers':8s}AUC, at a known 1 %, at its own 1 %, decided; false")
    for place in behind():
        for kind in (NOISE, VOICES):
            for study in (shadows, persons, references):
                study.cache_clear()
            for name in ATTACKS.names():
                for asked in questions(name):
                    wanted = zip((name, label(asked), place, kind), ("attack", "study", "behind", "kind"), strict=True)
                    if not all(getattr(options, option) in word for word, option in wanted):
                        continue
                    row = f"{name:24s}{label(asked):22s}{place:28s}{kind:8s}"
                    try:
                        values, false = measured(asked, place, kind, options)
                    except MiaError as error:
                        print(f"{row}  {error}", flush=True)
                        continue
                    told = [True, True, kind == NOISE, asked[0] is not references or options.thresholds]
                    values = [one for one, is_told in zip(values, told, strict=True) if is_told]
                    for one in values:
                        error = one.std(ddof=1) / np.sqrt(len(one))
                        row += f"{100 * one.mean():+8.2f} ±{100 * error:5.2f} {deviation(one):+4.1f}"
                    numbers += len(values)
                    print(f"{row}   {100 * false:.2f}", flush=True)
                    if max(abs(deviation(one)) for one in values) > BOUND:
                        beyond.append(row)
    print(f"{numbers} numbers; {len(beyond)} cells beyond {BOUND} standard errors:", *beyond, sep="\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
        main()
