"""Reference models: the stage for attacks that compare a fragment with itself in models that did and did not see it.

All models know all speakers. Each recording trains a random half of the models; a tenth of each speaker's recordings
trains none and is the attacker's population. The first models play the target in turn, attacked through all others.
"""

from functools import cached_property

import numpy as np
import pandas as pd

from mia_lib.attacks import ATTACKS
from mia_lib.evaluation import Audit, Measure, best_threshold, evaluate, mean_measure
from mia_lib.experiment import Experiment
from mia_lib.protocols import HELD_OUT, POPULATION, TRAIN, Split, audit_units, random_half_splits
from mia_lib.signals import Signals
from mia_lib.stack import Stack

POPULATION_SHARE = 0.1
PROTOCOL = "utterance"
PRETENDERS = 2  # reference models that play the target while a threshold is learnt


class References:
    """`n_references` + 1 models on random halves, and one on the population alone: the negative control's target."""

    def __init__(self, experiment: Experiment):
        self.experiment, self.settings = experiment, experiment.settings
        self.count = self.settings.n_references + 1

    @cached_property
    def splits(self) -> list[Split]:
        """The splits of all models; the last one trains on the population and is held out from everything audited."""
        manifest = self.experiment.manifest
        speakers = sorted(manifest["speaker"].astype(str).unique())
        halves = random_half_splits(manifest, speakers, self.count, self.experiment.seed, POPULATION_SHARE)
        unexposed = np.where(halves[0].role == POPULATION, TRAIN, HELD_OUT).astype(np.int8)
        return [*halves, Split(halves[0].speakers, unexposed)]

    @cached_property
    def stack(self) -> Stack:
        """All models, trained in one call."""
        seeds = np.random.SeedSequence([self.experiment.seed, 12]).generate_state(len(self.splits))
        return Stack(self.experiment, self.splits, [self.settings.epochs] * len(self.splits), seeds)

    def targets(self) -> list[int]:
        """The models that are attacked in turn."""
        return list(range(min(self.settings.repeats, self.count)))

    def signals(self, models: list[int], member_of: int | None = None) -> Signals:
        """Signals of some of the models; with `member_of`, with the membership of that model instead of their own."""
        roles = np.stack([self.splits[k if member_of is None else member_of].role for k in models])
        member = np.select([roles == TRAIN, roles == HELD_OUT], [1, 0], -1).astype(np.int8)
        population = self.splits[0].role == POPULATION
        return Signals(self.stack.logits[models], self.stack.labels[models], member, True, population)

    def units(self) -> np.ndarray:
        """What is drawn as a whole for intervals: the source of every fragment, str [N]."""
        return audit_units(self.experiment.manifest, PROTOCOL)

    def audits(self, attack: str, control: bool = False, count: int | None = None, **options) -> list[Audit]:
        """One audit per target: the attack fitted on the other models, or on the first `count` of them.

        The threshold is learnt where some of those models play the target, attacked through the rest. With `control`, the
        model that trained on the population alone answers in the target's place. options: of the attack.
        """
        audits = []
        for target in self.targets():
            others = [k for k in range(self.count) if k != target][:count]
            threshold = self._threshold(attack, others, target, options)
            fitted = self._new(attack, target, options).fit(self.signals(others))
            victim = self.signals([self.count if control else target], member_of=target)
            mask, member = victim.audited()
            rows = np.flatnonzero(mask[0])
            scores = fitted.score(victim)[0, rows]
            audits.append(Audit(scores, member, self.units()[rows], threshold, rows))
        return audits

    def _new(self, attack: str, target: int, options: dict):
        return ATTACKS.get(attack)(seed=self.experiment.seed * 1000 + target, **options)

    def _threshold(self, attack: str, models: list[int], target: int, options: dict) -> float:
        scores, members = [], []
        for k in models[:PRETENDERS]:
            victim = self.signals([k])
            mask, member = victim.audited()
            fitted = self._new(attack, target, options).fit(self.signals([m for m in models if m != k]))
            scores.append(fitted.score(victim)[mask])
            members.append(member)
        return best_threshold(np.concatenate(scores), np.concatenate(members))

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
        measures = evaluate(audits, self.settings.bootstrap, experiment.seed)
        shuffled = [audit.shuffled(experiment.seed * 1000 + i) for i, audit in enumerate(audits)]
        for name, control in (("shuffled", shuffled), ("unexposed", self.audits(attack, control=True))):
            rates = evaluate(control, self.settings.bootstrap, experiment.seed)
            measures |= {f"{metric}_control_{name}": rates[metric] for metric in ("auc", "balanced_accuracy")}
        return experiment.table(PROTOCOL, attack, measures)
