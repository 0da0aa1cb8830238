"""Is this person in the training set? A study of targets and shadows in which every person is one example."""

from dataclasses import replace

import numpy as np
import pandas as pd

from mia_lib.attacks.base import Attack
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate, thinnest
from mia_lib.evaluation.records import Result
from mia_lib.fragments.enrolment import enrol, largest_enrolment, person_codes
from mia_lib.signals.signals import Signals
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.studies.study import Question, Study, Victim, as_known
from mia_lib.support.errors import MiaError

PERSON_ATTACKS = ("speaker_level", "mean_posterior")
PERSON_METRICS = ("auc", "tpr_at_fpr_1e-1", "balanced_accuracy")
PROTOCOL = "speaker"


class SpeakerStudy(Study):
    """The models of a shadow study, under protocol `speaker`: a person is represented by some random recordings, which no
    model has trained on (see `enrol`). Who attacks whom is as there; intervals draw persons."""

    def __init__(self, base: ShadowStudy):
        super().__init__(base.dataset, base.settings, base.defense)
        self.base, self.splits, self.pool, self.released = base, base.splits, base.pool, base.released
        self._members: dict[tuple, np.ndarray] = {}

    def targets(self) -> list[int]:
        return self.base.targets()

    def teachers(self, target: int, control: bool, count: int | None) -> tuple[int, ...]:
        return self.base.teachers(target, control, count)

    def _member(self, question: Question, model: int) -> np.ndarray:
        """Who represents members and non-members of a model, int8 [N]."""
        key = question.enrolment, model
        if key not in self._members:
            self._members[key] = enrol(self.manifest, self.splits[model], key[0], self.seed * 1000 + model)
        return self._members[key]

    def _signals(self, models: list[int], member: np.ndarray) -> Signals:
        """Signals of some models for an audit of persons with the membership int8 [models, N]."""
        person = np.where((member >= 0).any(0), person_codes(self.manifest), -1)
        return replace(as_known(self.base.answers, PROTOCOL).pick(models).with_members(member), person=person)

    def known(self, question: Question, target: int, models: tuple[int, ...]) -> Signals:
        return self._signals(list(models), np.stack([self._member(question, k) for k in models]))

    def _audited(self, question: Question, model: int, split: int) -> Victim:
        """A model's signals on the audit set of another's split, at the first fragment of each person."""
        member = self._member(question, split)
        signals = self._signals([model], member[None])
        assert signals.person is not None, "signals for an audit of persons say who speaks"
        used = np.flatnonzero(member >= 0)
        rows = used[np.unique(signals.person[used], return_index=True)[1]]
        return Victim(signals, rows, member[rows] == 1, rows)

    def rehearsed(
        self, question: Question, target: int, models: tuple[int, ...], fitted: Attack
    ) -> tuple[np.ndarray, np.ndarray]:
        played = [self._audited(question, k, k) for k in models]
        scores = [self.score(question, fitted, victim.signals)[0, victim.columns] for victim in played]
        return np.concatenate(scores), np.concatenate([victim.member for victim in played])

    def victim(self, question: Question, target: int, control: bool, models: tuple[int, ...]) -> Victim:
        return self._audited(question, target + self.base.shadows if control else target, target)

    def audits(self, attack: str, enrolment: int, control: bool = False) -> list[Audit]:
        """One audit per repeat, of an attack on persons who are represented by `enrolment` recordings each (see `ask`)."""
        return self.ask(Question(attack, PROTOCOL, enrolment), control)

    def records(self, sizes: tuple[int, ...] = (1, 2, 3, 5, 10)) -> pd.DataFrame:
        """How well persons are found by `sizes` recordings of each: attack, baseline, and both on a model that saw nobody.

        `audit_units` counts the persons of the smaller side. Sizes for which people have too few recordings are left out;
        raises MiaError where all are.
        """
        largest = min(largest_enrolment(self.manifest, split) for split in self.splits)
        usable = [size for size in sizes if size <= largest]
        if not usable:
            raise MiaError(
                f"{largest} recordings are the most that can represent a person here: use a smaller enrolment"
            )
        return pd.concat(self._of_size(attack, size) for attack in PERSON_ATTACKS for size in usable)

    def _of_size(self, attack: str, size: int) -> pd.DataFrame:
        results, exposed = [], self.audits(attack, size)
        for control, audits in (("", exposed), ("unexposed", self.audits(attack, size, True))):
            rates = evaluate(audits, self.settings.bootstrap, self.seed)
            results += [Result(m, rates[m], enrolment=size, control=control) for m in PERSON_METRICS]
        results.append(Result("audit_units", thinnest(exposed), enrolment=size))
        return self.table(PROTOCOL, attack, results)
