"""A defense judged: what it costs, what it stops, and what it only hides from an attacker who does not know it."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pandas as pd

from mia_lib.attacks import ATTACKS
from mia_lib.defenses.base import defense_modules, make_defense
from mia_lib.evaluation.calibration import calibration_gaps
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure, mean_measure
from mia_lib.fragments.splits import PROTOCOLS
from mia_lib.studies.pool import train_together
from mia_lib.studies.reference import References
from mia_lib.studies.shadow import PAPER_ATTACKS, Experiment
from mia_lib.support.digests import file_digest
from mia_lib.support.progress import progress

CALIBRATED = ("lira_online", "rmia_online", "label_only_calibrated")
PROVING = ("largest_posterior", "lira_online", "rmia_online")


class Judgement:
    """One defense on one experiment, beside the undefended models (`none` judges those themselves)."""

    def __init__(self, undefended: Experiment, defense: str):
        self.undefended, self.defense = undefended, defense
        self.experiment = undefended.defended(defense)

    @cached_property
    def references(self) -> References:
        """Reference models behind the same defense, fewer and on fewer speakers than those of notebook 06; each of them plays
        the target, for the more non-members there are, the fewer false alarms can be told from none."""
        s = self.experiment.settings
        return References(self.experiment, s.defense_references, s.defense_speakers, s.defense_references + 1)

    def utility(self) -> pd.DataFrame:
        """Accuracies and expected calibration error."""
        e = self.experiment
        measures = {"train_accuracy": e.accuracy("train"), "test_accuracy": e.accuracy("held_out")}
        gaps, units = [], []
        for k in e.targets():
            rows = e.splits[k].held_out()
            p = e.signals(k, "utterance").posteriors()[0, rows]
            gaps.append(calibration_gaps(p.max(-1), (p.argmax(-1) == e.labels[k][rows]).astype(float)))
            units.append(e.units("utterance")[rows])
        measures["calibration_error"] = mean_measure(gaps, units, e.settings.bootstrap, e.seed)
        return e.table("", "none", measures)

    def training_cost(self) -> pd.DataFrame:
        """Training time, and that of each fragment and pass as a ratio to undefended reference models."""
        stack, plain = self.experiment.stack, Judgement(self.undefended, "none").references.stack
        pace, usual = (s.models.seconds / s.passes for s in (stack, plain))
        ratio = pace / usual if stack.defense.trains else 1.0
        values = {"train_seconds": stack.models.seconds, "train_seconds_ratio": ratio}
        measures = {name: Measure(value, value, value, len(stack.splits)) for name, value in values.items()}
        return self.experiment.table("", "none", measures)

    def attacked(self, attack: str, protocol: str, adaptive: bool, draws: int | None = None) -> pd.DataFrame:
        """All rates of an attack whose shadow models are behind the same defense (adaptive), or undefended.

        draws: of the bootstrap (None: as the settings say).
        """
        e, shadows = self.experiment, None if adaptive else self.undefended
        measures = evaluate(e.audits(attack, protocol, shadows=shadows), draws or e.settings.bootstrap, e.seed)
        return e.table(protocol, attack, measures, adaptive)

    def quick(self) -> pd.DataFrame:
        """What a choice of strength needs, without intervals: utility, and the paper's attack, knowing the defense or not;
        where training and answers are both changed also the attack on labels, which no change of answers stops."""
        choices = [("top3_network", p, adaptive) for p in ("paper", "utterance") for adaptive in (False, True)]
        if self.experiment.stack.defense.trains and self.experiment.stack.defense.alters:
            choices.append(("label_only", "utterance", True))
        return self._stage("quick", self.experiment, lambda: self._attacks(choices, draws=1))

    def records(self) -> pd.DataFrame:
        """Utility and all attacks: the paper's two, knowing the defense or not, and those on the label alone, under every
        protocol; and the strongest, on reference models behind the same defense, under protocol `utterance`."""
        train_together([self.experiment.stack, self.references.stack])
        choices = [(a, p, adaptive) for a in PAPER_ATTACKS for p in PROTOCOLS for adaptive in (False, True)]
        choices += [("label_only", p, True) for p in PROTOCOLS]
        shadows = self._stage("shadows", self.experiment, lambda: self._attacks(choices))
        return pd.concat([shadows, self.training_cost(), self.calibrated()])

    def calibrated(self) -> pd.DataFrame:
        """The strongest attacks, whose reference models are behind the same defense, under protocol `utterance`."""
        return self._of_references("calibrated", "calibrated attacks on", CALIBRATED, References.attack_records)

    def proven(self) -> pd.DataFrame:
        """The epsilon that attacks prove, whose reference models are behind the same defense, with negative controls."""
        return self._of_references("proven", "what attacks prove of", PROVING, References.epsilon_records)

    def _of_references(
        self, stage: str, title: str, attacks: tuple[str, ...], records: Callable[[References, str], pd.DataFrame]
    ) -> pd.DataFrame:
        """A stage of what a method of `References` measures with each of some attacks."""

        def tables() -> list[pd.DataFrame]:
            found = []
            with progress(f"{title} {self.defense}", len(attacks), "attack") as bar:
                for attack in attacks:
                    found.append(records(self.references, attack).assign(adaptive=True))
                    bar.update(1, attack)
            return found

        return self._stage(stage, self.references, tables)

    def _attacks(self, choices: list[tuple[str, str, bool]], draws: int | None = None) -> list[pd.DataFrame]:
        """Utility, and an attack for each of `choices` (attack, protocol, adaptive)."""
        tables = [self.utility()]
        with progress(f"attacks on {self.defense}", len(choices), "attack") as bar:
            for choice in choices:
                tables.append(self.attacked(*choice, draws))
                bar.update(1)
        return tables

    def _stage(
        self, name: str, models: Experiment | References, tables: Callable[[], list[pd.DataFrame]]
    ) -> pd.DataFrame:
        """Records as a cached stage; models: whose answers they follow from."""

        def build(folder: Path, _scratch: Path) -> None:
            pd.concat(tables()).to_parquet(folder / "records.parquet", index=False)

        params, code = self._key(name, models)
        return pd.read_parquet(self.experiment.cache.stage("records", params, code, build) / "records.parquet")

    def _key(self, name: str, models: Experiment | References) -> tuple[dict, list[str]]:
        """What decides a stage: parameters and modules."""
        e = self.experiment
        names = "judgement", "experiment", "protocols", "references", "detail", "evaluation", "signals", "statistics"
        code = [*(f"mia_lib.{m}" for m in (*names, "privacy")), *defense_modules(self.defense)]
        code += sorted({ATTACKS.get(attack).__module__ for attack in ATTACKS.names()})
        params = dict(logits=file_digest(Path(models.stack.logits.filename)), corpus=e.corpus_name, profile=e.profile)
        params |= dict(seed=e.seed, settings=e.settings.asdict(), defense=self.defense, of=name)
        return params | dict(undefended=file_digest(Path(self.undefended.logits.filename))), code


def keeps_every_answer(undefended: Experiment, defense: str) -> bool:
    """Whether the defended targets name the same speakers as the undefended ones, on every fragment."""
    if make_defense(defense).trains:
        return False
    defended = undefended.defended(defense)
    return all((defended.logits[k].argmax(-1) == undefended.logits[k].argmax(-1)).all() for k in undefended.targets())
