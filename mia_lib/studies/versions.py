"""You do not have the file: the same reference models, attacked by somebody who holds a version of each fragment instead.

Whoever does not hold a file cannot train on it either. So the calibrated attacks are the offline ones, whose reference models
never trained on the fragment; they are asked about the version in hand, as the target is. What is learnt comes from the
answers of other models, never from the target's audit.
"""

from collections.abc import Sequence
from math import isnan

import numpy as np
import pandas as pd

from mia_lib.attacks.base import Attack
from mia_lib.evaluation.differences import ratio
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.reading import measure_of
from mia_lib.evaluation.records import Result
from mia_lib.fragments.versions import EXACT, versions_of
from mia_lib.signals.signals import Signals
from mia_lib.studies.reference import PROTOCOL, ReferenceStudy
from mia_lib.studies.released import NAMES
from mia_lib.studies.study import Question, as_known
from mia_lib.support.progress import progress

HOLDING = "held_"
"""Condition of the records: this, and the name of what is held."""
ATTACKS_WITHOUT_FILE = ("lira_offline", "rmia_offline", "top3_network", "label_only", "ramia")
ALL, OF_ALL = "all", ("label_only", "ramia")
"""What is held by who has every version but the file, and the attacks that can ask about several."""
LEARNERS = {"top3_network": 4}
"""Models that an attack learns from, where fewer are enough: the paper has one."""
RATES = {"auc": 0.5, "tpr_at_fpr_1e-2": 0.01}
"""What is compared, and its chance."""
LEFT = "left_of_"


class VersionStudy(ReferenceStudy):
    """The models and splits of `references`, asked about the version `held` of `detailed_rows`, and about its range; where
    ALL are held, the range is all versions but the file."""

    def __init__(self, references: ReferenceStudy, held: str):
        _ = references.signals, references.released, references.detailed_rows  # computed once, and shared from here on
        vars(self).update(vars(references))
        self.held, self._fits, self._details = held, {}, {}

    def seen(self, needs: tuple[str, ...]) -> tuple[Signals, Signals, np.ndarray]:
        if needs not in self._details:
            rows, models = self.detailed_rows, list(range(self.count))
            answers = self._answers(rows)
            nobody = np.full((1, len(rows)), -1, np.int8)
            member = np.concatenate([self.signals.member[:, rows], nobody])
            options = dict(aligned=True, population=self._population()[rows])
            if {"copies", NAMES} & set(needs):
                options["copies"] = answers[1:]
            everything = as_known(Signals(answers[0], self.labels[:, rows], member, **options), PROTOCOL)
            self._details[needs] = everything.pick(models), everything.pick([self.count]), rows
        return self._details[needs]

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        """To what is in hand, and to the rest of its range: float32 [queries, models, n, classes]."""
        if self.held != ALL:
            return np.asarray(self.released.versions(rows, self.held))
        names = [name for name in versions_of(self.corpus, self.manifest) if name != EXACT]
        return np.stack([self.released.versions(rows, name)[0] for name in names])

    def rehearsed(
        self, question: Question, target: int, models: tuple[int, ...], fitted: Attack
    ) -> tuple[np.ndarray, np.ndarray]:
        """On what the attack learnt from: rates at a threshold are not looked at here."""
        known = self.known(question, target, models)
        mask, member = known.audited()
        scores = self.score(question, fitted, known)[mask]
        return np.nan_to_num(scores), member

    def records(self) -> pd.DataFrame:
        """RATES of the attacks that need no file, with this version in hand, and their AUC on a model that never heard any of
        these recordings, as a cached stage."""
        draws, condition = self.settings.bootstrap, f"{HOLDING}{self.held}"
        attacks = OF_ALL if self.held == ALL else ATTACKS_WITHOUT_FILE

        def tables() -> list[pd.DataFrame]:
            found = []
            for attack in attacks:
                count = LEARNERS.get(attack)
                rates = evaluate(self.audits(attack, count=count), draws, self.seed)
                control = evaluate(self.audits(attack, control=True, count=count), draws, self.seed, control=True)[
                    "auc"
                ]
                results = [Result(name, rates[name], condition) for name in RATES]
                results.append(Result("auc", control, condition, control="unexposed"))
                found.append(self.table(PROTOCOL, attack, results))
            return found

        return self.kept(f"holding {self.held}", tables, attacks)


def records_without_file(references: ReferenceStudy, held: Sequence[str] | None = None) -> pd.DataFrame:
    """Records of all attacks with each version in hand (None: all that there are of the corpus, and ALL), as cached stages,
    and which share of the file's is left (`shares_left`)."""
    tables, held = [], (*versions_of(references.corpus, references.manifest), ALL) if held is None else held
    with progress("who does not have the file", len(held), "version") as bar:
        for name in held:
            tables.append(VersionStudy(references, name).records())
            bar.update(1, name)
    records = pd.concat(tables)
    return pd.concat([records, shares_left(references, records)])


def shares_left(references: ReferenceStudy, records: pd.DataFrame) -> pd.DataFrame:
    """Of what each attack finds above chance with the file, the share that it still finds with each version: records
    `left_of_` and the rate, with intervals (`differences.ratio`). Of nothing there is no share, and no record."""
    tables, plain = [], records[records["control"] == ""]
    for attack, own in plain.groupby("attack", sort=False):
        results = []
        for rate, chance in RATES.items():
            found = own[own["measure"] == rate].set_index("condition")
            above = {str(name): _above(measure_of(row), chance) for name, row in found.iterrows()}
            usual = above.pop(HOLDING + EXACT)
            shares = {name: ratio(one, usual) for name, one in above.items()}
            results += [Result(LEFT + rate, share, name) for name, share in shares.items() if not isnan(share.value)]
        tables.append(references.table(PROTOCOL, str(attack), results))
    return pd.concat(tables)


def _above(measure: Measure, chance: float) -> Measure:
    return Measure(measure.value - chance, measure.low - chance, measure.high - chance, measure.n)
