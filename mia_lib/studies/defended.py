"""A defense evaluated: what it costs, what it stops, and what it only hides from an attacker who does not know it."""

from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np
import pandas as pd

from mia_lib.defenses.base import make_defense
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.baseline import GIVEN
from mia_lib.evaluation.calibration import calibration_error
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure, mean_change
from mia_lib.evaluation.records import Result
from mia_lib.evaluation.strongest import STRONGEST, strongest_beside
from mia_lib.fragments.splits import CONSUMED, PROTOCOLS
from mia_lib.studies.pool import train_together
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import PAPER_ATTACKS, ShadowStudy
from mia_lib.studies.study import DEFENDER_SHARE
from mia_lib.support.progress import progress

CALIBRATED = ("lira_online", "rmia_online", "label_only_calibrated")
PROVING = ("largest_posterior", "lira_online", "rmia_online")
FEW_REFERENCES, FEW_SPEAKERS = 4, 12  # where strengths are chosen
CONSUMING = ("loss", "top3_network", "label_only")
Choice = tuple[str, str, bool]
"""An attack, a protocol, and whether the attack knows the defense."""


class DefenseEvaluation:
    """One defense on one study, beside the undefended models (`none` evaluates those themselves).

    plain: the evaluation of those, where it is there already.
    """

    def __init__(self, undefended: ShadowStudy, defense: str, plain: "DefenseEvaluation | None" = None):
        self.undefended, self.defense, self._plain = undefended, defense, plain
        self._audits: dict[str, dict[str, list[Audit]]] = {}
        self.study = undefended if defense == "none" else undefended.defended(defense)

    @cached_property
    def references(self) -> ReferenceStudy:
        """Reference models behind the same defense, fewer and on fewer speakers than those of notebook 06. Each of them plays
        the target: only with many non-members can few false alarms be told from none. The same recordings are the defender's
        whether the defense needs them or not, so that all defenses are compared on the same fragments."""
        s = self.study.settings
        return ReferenceStudy(
            self.study, s.defense_references, s.defense_speakers, s.defense_references + 1, DEFENDER_SHARE
        )

    @cached_property
    def plain(self) -> "DefenseEvaluation":
        """The undefended models, evaluated as these are."""
        return self if self.defense == "none" else self._plain or DefenseEvaluation(self.undefended, "none")

    @cached_property
    def few(self) -> ReferenceStudy:
        """A few small reference models behind the same defense, none of those under attack: enough to see what calibrated
        attacks find where strengths are chosen."""
        models = min(FEW_REFERENCES, self.study.settings.defense_references)
        return ReferenceStudy(self.study, models, FEW_SPEAKERS, models + 1, DEFENDER_SHARE, purpose="for a choice")

    def utility(self) -> pd.DataFrame:
        """Accuracies and expected calibration error."""
        study = self.study
        measures = {"train_accuracy": study.accuracy("train"), "test_accuracy": study.accuracy("held_out")}
        confidences, corrects, clusters = [], [], []
        for k in study.targets():
            rows = study.splits[k].held_out()
            p = study.signals(k, "utterance").posteriors()[0, rows]
            confidences.append(p.max(-1))
            corrects.append((p.argmax(-1) == study.labels[k][rows]).astype(float))
            clusters.append(study.clusters[rows])
        draws = study.settings.bootstrap
        measures["calibration_error"] = calibration_error(confidences, corrects, clusters, draws, study.seed)
        return study.table("", "none", measures)

    def training_cost(self) -> pd.DataFrame:
        """Training time, and that of each fragment and pass as a ratio to undefended reference models."""
        pool, plain = self.study.pool, self.plain.references.pool
        pace, usual = (p.models.seconds / p.passes() for p in (pool, plain))
        ratio = pace / usual if pool.defense.trains else 1.0
        values = {"train_seconds": pool.models.seconds, "train_seconds_ratio": ratio}
        measures = {name: Measure(value, value, value, len(pool.splits)) for name, value in values.items()}
        return self.study.table("", "none", measures)

    def attacked(self, attack: str, protocol: str, adaptive: bool, intervals: bool = True) -> pd.DataFrame:
        """All rates of an attack whose shadow models are behind the same defense (adaptive), or undefended."""
        study, shadows = self.study, None if adaptive else self.undefended
        audits = study.audits(attack, protocol, shadows=shadows)
        rates = evaluate(audits, study.settings.bootstrap if intervals else 0, study.seed)
        return study.table(protocol, attack, rates, adaptive)

    def consumed(self) -> pd.DataFrame:
        """How well the recordings that the defense was given are told from held-out ones of the same people, by attacks that
        know the defense: they are private speech too."""
        study, tables = self.study, []
        for attack in CONSUMING:
            rates = evaluate(study.audits(attack, CONSUMED), study.settings.bootstrap, study.seed)
            results = [Result(name, rates[name], GIVEN) for name in ("auc", "tpr_at_fpr_1e-2")]
            tables.append(study.table("utterance", attack, results, adaptive=True))
        return pd.concat(tables)

    def strongest(self) -> pd.DataFrame:
        """The strongest of the attacks that know the defense, and how far that is from the strongest on undefended models,
        with intervals that know that attacks were picked; and what the defense costs, on the same fragments.

        Measures: `strongest_` and the rate, under each protocol, and the same with `_change`; `test_accuracy_change`.
        """
        plain, study = self.plain, self.study
        draws, seed = study.settings.bootstrap, study.seed
        (right, clusters), (usual, _) = (one.study.correct("held_out") for one in (self, plain))
        gap = mean_change(right, usual, clusters, draws, seed)
        tables = [] if self.defense == "none" else [study.table("", "none", {"test_accuracy_change": gap})]
        for protocol in PROTOCOLS:
            own, bare, results = self._knowing(protocol), plain._knowing(protocol), []
            for rate, (found, change) in strongest_beside(own, bare, draws, seed).items():
                results.append(Result(f"strongest_{rate}", found.measure))
                if self.defense != "none":
                    results.append(Result(f"strongest_{rate}_change", change))
            tables.append(study.table(protocol, STRONGEST, results, adaptive=True))
        return pd.concat(tables)

    def _knowing(self, protocol: str) -> dict[str, list[Audit]]:
        """Audits of all attacks that know the defense, under a protocol."""
        if protocol not in self._audits:
            audits = {attack: self.study.audits(attack, protocol) for attack in (*PAPER_ATTACKS, "label_only")}
            if protocol == "utterance":
                audits |= {attack: self.references.audits(attack) for attack in CALIBRATED}
            self._audits[protocol] = audits
        return self._audits[protocol]

    def screening(self) -> pd.DataFrame:
        """What a choice of strength needs, without intervals: utility; the paper's attack, knowing the defense or not; and
        what no change of answers stops and no threshold hides, the attack on labels and LiRA on a few reference models. Where
        answers are changed, LiRA may see nothing: there the attack on labels is tried on the same models, too."""
        choices = [("top3_network", p, adaptive) for p in ("paper", "utterance") for adaptive in (False, True)]
        choices.append(("label_only", "utterance", True))

        alters = make_defense(self.defense).alters
        attacks = ("lira_online", *["label_only_calibrated"] * alters)

        def tables() -> list[pd.DataFrame]:
            found = []
            for attack in attacks:
                rates = evaluate(self.few.audits(attack), 0, self.few.seed)
                found.append(self.few.table("utterance", attack, {"auc": rates["auc"]}, adaptive=True))
            return found

        calibrated = self.few.kept("screening of references", tables, attacks)
        return pd.concat([self._attacked("screening", choices, intervals=False), calibrated])

    def records(self) -> pd.DataFrame:
        """Utility and all attacks: the paper's two, knowing the defense or not, and those on the label alone, under every
        protocol; and the strongest, on reference models behind the same defense, under protocol `utterance`."""
        train_together([self.study.pool, self.references.pool])
        choices = [(a, p, adaptive) for a in PAPER_ATTACKS for p in PROTOCOLS for adaptive in (False, True)]
        choices += [("label_only", p, True) for p in PROTOCOLS]
        kinds = (*PAPER_ATTACKS, "label_only", *CALIBRATED)
        others = [self.references, self.undefended, self.plain.references]
        strongest = self.study.kept("strongest", lambda: [self.strongest()], kinds, others)
        return pd.concat([self._attacked("shadows", choices), self.training_cost(), self.calibrated(), strongest])

    def calibrated(self) -> pd.DataFrame:
        """The strongest attacks, whose reference models are behind the same defense, under protocol `utterance`."""
        return self._of_references("calibrated", "calibrated attacks on", CALIBRATED, ReferenceStudy.attack_records)

    def proven(self) -> pd.DataFrame:
        """The epsilon that attacks prove, whose reference models are behind the same defense, with negative controls: over
        all models, and from the coins of a single one."""

        def records(study: ReferenceStudy, attack: str) -> pd.DataFrame:
            tests = len(PROVING)
            return pd.concat([study.epsilon_records(attack, tests), study.one_run_records(attack, tests)])

        return self._of_references("proven", "what attacks prove of", PROVING, records)

    def _of_references(
        self,
        of: str,
        title: str,
        attacks: tuple[str, ...],
        records: Callable[[ReferenceStudy, str], pd.DataFrame],
    ) -> pd.DataFrame:
        """A stage of what a method of `ReferenceStudy` measures with each of some attacks."""

        def tables() -> list[pd.DataFrame]:
            found = []
            with progress(f"{title} {self.defense}", len(attacks), "attack") as bar:
                for attack in attacks:
                    found.append(records(self.references, attack).assign(adaptive=True))
                    bar.update(1, attack)
            return found

        return self.references.kept(of, tables, attacks)

    def _attacked(self, of: str, choices: list[Choice], intervals: bool = True) -> pd.DataFrame:
        """A stage of utility, and of an attack for each of `choices`."""

        def tables() -> list[pd.DataFrame]:
            found = [self.utility()]
            if intervals and self.study.pool.defense.needs_reference:
                found.append(self.consumed())
            with progress(f"attacks on {self.defense}", len(choices), "attack") as bar:
                for choice in choices:
                    found.append(self.attacked(*choice, intervals))
                    bar.update(1)
            return found

        attacks = sorted({*CONSUMING, *(attack for attack, _, _ in choices)})
        return self.study.kept(of, tables, attacks, [self.undefended])


def judged_beside(undefended: ShadowStudy, names: Iterable[str]) -> pd.DataFrame:
    """`DefenseEvaluation.records` of several defenses; the undefended models, which all stand beside, are attacked once."""
    plain = DefenseEvaluation(undefended, "none")
    every = [plain if name == "none" else DefenseEvaluation(undefended, name, plain) for name in names]
    return pd.concat([one.records() for one in every])


def keeps_every_answer(undefended: ShadowStudy, defense: str) -> bool:
    """Whether the defended targets name the same speakers as the undefended ones, on every fragment."""
    if make_defense(defense).trains:
        return False
    defended = undefended.defended(defense)
    return all(
        (np.argmax(defended.logits[k], -1) == np.argmax(undefended.logits[k], -1)).all() for k in undefended.targets()
    )
