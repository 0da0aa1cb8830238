"""Reference models: the stage for attacks that compare a fragment with itself in models that did and did not see it.

All models know all speakers. Each recording trains a random half of the models; a tenth of each speaker's recordings
trains none and is the attacker's population. Several models play the target in turn, each attacked through all others.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_references, masked_mean
from mia_lib.attacks.lira import deviation
from mia_lib.attacks.threshold import best_threshold
from mia_lib.evaluation.audit import Audit, shuffled
from mia_lib.evaluation.epsilon import measured_epsilon
from mia_lib.evaluation.evaluate import evaluate, with_controls
from mia_lib.evaluation.intervals import Measure, mean_measure
from mia_lib.fragments.splits import (
    HELD_OUT,
    NONE,
    POPULATION,
    TRAIN,
    Split,
    audit_units,
    random_half_splits,
    whole_recordings,
)
from mia_lib.signals.signals import Signals
from mia_lib.studies.pool import CHEAP, EXTRAS, Stack, detailed_signals, fragment_attacks, needs_of
from mia_lib.studies.shadow import Experiment
from mia_lib.support.digests import file_digest
from mia_lib.support.progress import progress

POPULATION_SHARE = 0.1
PROTOCOL = "utterance"
PRETENDERS = 2  # reference models that play the target while a threshold is learnt


class References:
    """Models on random halves, and one on the population alone: the negative control's target.

    count: reference models behind each target (None: `n_references`). speakers: how many of them the models know, drawn by
    the experiment's seed (0: all); other people's fragments play no part. attacked: how many of the models play the target
    (None: `repeats`).
    """

    def __init__(
        self, experiment: Experiment, count: int | None = None, speakers: int = 0, attacked: int | None = None
    ):
        self.experiment, self.settings, self.speakers = experiment, experiment.settings, speakers
        self.count = (self.settings.n_references if count is None else count) + 1
        self.attacked = min(self.settings.repeats if attacked is None else attacked, self.count)
        self._fits: dict[tuple, tuple] = {}
        self._details: dict[tuple, tuple] = {}

    @cached_property
    def splits(self) -> list[Split]:
        """The splits of all models; the last one trains on the population and is held out from everything audited."""
        manifest = self.experiment.manifest
        speakers = np.random.default_rng([self.experiment.seed, 17]).permutation(
            manifest["speaker"].astype(str).unique()
        )
        speakers = sorted(speakers[: self.speakers or None].tolist())
        halves = random_half_splits(manifest, speakers, self.count, self.experiment.seed, POPULATION_SHARE)
        unexposed = np.select([halves[0].role == POPULATION, halves[0].role != NONE], [TRAIN, HELD_OUT], NONE)
        unexposed = unexposed.astype(np.int8)
        return [*self.experiment.set_aside(halves), Split(halves[0].speakers, unexposed)]

    @cached_property
    def stack(self) -> Stack:
        """All models, trained in one call."""
        seeds = np.random.SeedSequence([self.experiment.seed, 12]).generate_state(len(self.splits))
        epochs = [self.settings.epochs] * len(self.splits)
        return Stack(self.experiment, self.splits, epochs, seeds, self.experiment.defense)

    def targets(self) -> list[int]:
        """The models that are attacked in turn."""
        return list(range(self.attacked))

    @cached_property
    def signals(self) -> Signals:
        """Signals of the reference models, with their own membership (the negative control's model is left out)."""
        roles = np.stack([split.role for split in self.splits[: self.count]])
        member = np.select([roles == TRAIN, roles == HELD_OUT], [1, 0], -1).astype(np.int8)
        population = self.splits[0].role == POPULATION
        return Signals(self.stack.logits[: self.count], self.stack.labels[: self.count], member, True, population)

    @cached_property
    def _unexposed(self) -> Signals:
        """Signals of the model that trained on the population alone; nothing is audited."""
        nobody = np.full_like(self.signals.member[:1], -1)
        return Signals(self.stack.logits[self.count :], self.stack.labels[self.count :], nobody, True)

    @cached_property
    def detailed_rows(self) -> np.ndarray:
        """The fragments of whole recordings on which attacks run that see more than logits, int64 [n]."""
        sources = np.where(self.splits[0].role != NONE, self.experiment.manifest["source"].astype(str), "")
        return whole_recordings(sources, self.settings.query_fragments, self.experiment.seed)

    def detailed_signals(self, needs: tuple[str, ...] = tuple(EXTRAS)) -> Signals:
        """`signals` on `detailed_rows`, with the extras that `needs` names."""
        return self._detailed(needs)[0]

    def _detailed(self, needs: tuple[str, ...]) -> tuple[Signals, Signals, np.ndarray]:
        """The references' signals, the unexposed model's, and which fragments they are of; assembled once."""
        if needs not in self._details:
            rows = np.arange(self.signals.member.shape[1]) if CHEAP.issuperset(needs) else self.detailed_rows
            member = np.concatenate([self.signals.member, self._unexposed.member])[:, rows]
            options = dict(aligned=True, population=self.signals.population[rows])
            everything = detailed_signals(self.stack, rows, needs, member, **options)
            references = everything.pick(list(range(self.count)))
            self._details[needs] = references, everything.pick([self.count]), rows
        return self._details[needs]

    def _seen_by(self, attack: str) -> tuple[Signals, Signals, np.ndarray]:
        """What an attack works on: the references' signals, the unexposed model's, and which fragments they are of."""
        needs = needs_of(attack)
        if needs:
            return self._detailed(needs)
        return self.signals, self._unexposed, np.arange(self.signals.member.shape[1])

    def units(self) -> np.ndarray:
        """What is drawn as a whole for intervals: the source of every fragment, str [N]."""
        return audit_units(self.experiment.manifest, PROTOCOL)

    def audits(self, attack: str, control: bool = False, count: int | None = None, **options) -> list[Audit]:
        """One audit per target: the attack fitted on the other models, or on the first `count` of them.

        The threshold is learnt where some of those models play the target, attacked through the rest. With `control`, the
        model that trained on the population alone answers in the target's place. options: of the attack. With `count`, the
        fragments that all or none of so few models trained on are left out.
        """
        signals, unexposed, fragments = self._seen_by(attack)
        audits = []
        for target in self.targets():
            others = [k for k in range(self.count) if k != target][:count]
            fitted, threshold = self._fitted(attack, target, tuple(others), tuple(options.items()))
            scores = fitted.score(unexposed if control else signals.pick([target]))[0]
            member = signals.member[target]
            kept = np.flatnonzero((member >= 0) & self._covered(signals, others))
            rows = fragments[kept]
            audits.append(Audit(scores[kept], member[kept] == 1, self.units()[rows], threshold, rows))
        return audits

    @staticmethod
    def _covered(signals: Signals, models: list[int]) -> np.ndarray:
        """Fragments, bool [N], that some of the models trained on and some are audited on without it."""
        member = signals.member[models]
        return (member == 1).any(0) & (member == 0).any(0)

    def _fitted(self, attack: str, target: int, models: tuple[int, ...], options: tuple) -> tuple:
        """The attack fitted on `models`, and its threshold; each is computed once."""
        key = (attack, target, models, options)
        if key not in self._fits:
            fitted = self._fit(key, list(models))
            threshold = getattr(fitted, "threshold", None)
            self._fits[key] = fitted, self._threshold(key, models) if threshold is None else threshold
        return self._fits[key]

    def _threshold(self, key: tuple, models: tuple[int, ...]) -> float:
        """The threshold of the best balanced accuracy where some of `models` play the target, attacked through the rest."""
        signals, _, _ = self._seen_by(key[0])
        scores, members = [], []
        for k in models[:PRETENDERS]:
            rest = [m for m in models if m != k]
            mask = (signals.member[k] >= 0) & self._covered(signals, rest)
            scores.append(self._fit(key, rest).score(signals.pick([k]))[0, mask])
            members.append(signals.member[k, mask] == 1)
        return best_threshold(np.concatenate(scores), np.concatenate(members))

    def _fit(self, key: tuple, models: list[int]):
        attack, target, _, options = key
        signals, _, _ = self._seen_by(attack)
        used = np.isin(np.arange(self.count), models)[:, None] & self._covered(signals, models)
        seed = self.experiment.seed * 1000 + target
        return ATTACKS.get(attack)(seed=seed, **dict(options)).fit(signals.audit_only(used))

    def accuracy(self, side: str) -> Measure:
        """Accuracy of the targets on their `train` or `held_out` fragments."""
        values, units = [], []
        for k in self.targets():
            index = getattr(self.splits[k], side)()
            values.append((self.stack.logits[k][index].argmax(-1) == self.stack.labels[k][index]).astype(float))
            units.append(self.units()[index])
        return mean_measure(values, units, self.settings.bootstrap, self.experiment.seed)

    def attack_records(self, attack: str) -> pd.DataFrame:
        """All rates of one attack, with its two negative controls."""
        experiment, audits = self.experiment, self.audits(attack)
        controls = {"unexposed": self.audits(attack, control=True), "shuffled": shuffled(audits, experiment.seed)}
        measures = with_controls(audits, controls, self.settings.bootstrap, experiment.seed)
        return self._table(attack, measures)

    def epsilon_records(self, attack: str) -> pd.DataFrame:
        """The epsilon that one attack proves (`measured_epsilon`), at a delta of 1 / (2 n) for n training fragments, and its
        negative control. It is a lower end: the upper end of the interval is infinite."""
        audits, delta = self.audits(attack), 1 / (2 * len(self.splits[0].train()))
        decisions, measures = sum(len(audit.scores) for audit in audits), {}
        for ending, audited in (("", audits), ("_control_shuffled", shuffled(audits, self.experiment.seed))):
            proven = measured_epsilon(audited, delta)
            measures[f"epsilon_lower_bound{ending}"] = Measure(proven, proven, np.inf, decisions)
        return self._table(attack, measures)

    def _table(self, attack: str, measures: dict[str, Measure]) -> pd.DataFrame:
        """Records; an attack that could also be fitted on shadows of other people gets a name that says that it was not."""
        name = attack if ATTACKS.get(attack).calibrated else f"{attack}_references"
        return self.experiment.table(PROTOCOL, name, measures)

    def records(self) -> pd.DataFrame:
        """Accuracies of the targets and every attack, as a cached stage."""
        experiment, attacks = self.experiment, fragment_attacks()

        def build(folder: Path, _scratch: Path) -> None:
            accuracies = {
                f"{name}_accuracy": self.accuracy(side) for name, side in (("train", "train"), ("test", "held_out"))
            }
            tables = [experiment.table(PROTOCOL, "none", accuracies)]
            with progress("attacks", len(attacks), "attack") as bar:
                for attack in attacks:
                    tables.append(self.attack_records(attack))
                    bar.update(1, attack)
            pd.concat(tables).to_parquet(folder / "records.parquet", index=False)

        modules = ("references", "detail", "perturbations", "evaluation", "protocols", "signals", "statistics")
        code = [f"mia_lib.{name}" for name in modules] + [ATTACKS.get(name).__module__ for name in attacks]
        params = {"logits": file_digest(Path(self.stack.logits.filename)), "corpus": experiment.corpus_name}
        params |= {"profile": experiment.profile, "seed": experiment.seed, "settings": self.settings.asdict()}
        return pd.read_parquet(experiment.cache.stage("records", params, code, build) / "records.parquet")

    def against_count(self, attacks: list[str], counts: list[int], metric: str = "tpr_at_fpr_1e-2") -> pd.DataFrame:
        """Records of one metric for attacks that know fewer reference models, with their number in a column `models`."""
        tables = []
        for attack in attacks:
            for count in counts:
                measure = evaluate(self.audits(attack, count=count), self.settings.bootstrap, self.experiment.seed)[
                    metric
                ]
                table = self.experiment.table(PROTOCOL, attack, {f"{metric}_{count}_references": measure})
                tables.append(table.assign(models=count))
        return pd.concat(tables)

    def against_budget(self, attacks: list[str], budgets: list[int]) -> pd.DataFrame:
        """Records of attacks that ask `budget` times about each fragment, with that number in a column `queries`.

        The attacks must have an option `budget`, which counts the clean query. Metrics: AUC, and TPR at 1 % FPR.
        """
        tables = []
        for attack in attacks:
            for budget in budgets:
                measures = evaluate(self.audits(attack, budget=budget), self.settings.bootstrap, self.experiment.seed)
                chosen = {f"{metric}_{budget}_queries": measures[metric] for metric in ("auc", "tpr_at_fpr_1e-2")}
                tables.append(self.experiment.table(PROTOCOL, attack, chosen).assign(queries=budget))
        return pd.concat(tables)

    def exposure(self) -> pd.DataFrame:
        """How far each audited fragment gives itself away: speaker, row, confidence outside, exposure, and the seconds of its
        recording up to the end of its last fragment.

        Exposure is the mean logit-scaled confidence of the models that trained on the fragment minus that of the others,
        in standard deviations of the latter, pooled over fragments.
        """
        inside, outside = check_references(self.signals)
        phi = self.signals.statistics.phi
        rows = np.flatnonzero(inside.any(0))
        out = masked_mean(phi, outside)
        spread = deviation(phi, outside, out, shared=True)
        manifest = self.experiment.manifest
        seconds = (
            manifest.groupby("utterance", observed=True)["start"].transform("max") + self.settings.fragment_seconds
        )
        table = manifest.assign(seconds=seconds).iloc[rows].assign(row=rows)
        table = table[["speaker", "utterance", "gender", "start", "seconds", "row"]]
        return table.assign(outside=out[rows], exposure=((masked_mean(phi, inside) - out) / spread)[rows])
