"""A model beside reference models: the studies' own code, on answers that were saved."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from mia_lib.attacks.base import ATTACKS, needs_of
from mia_lib.auditing.answers import signals_of
from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.trial import Trial, Tried
from mia_lib.evaluation.audit import Audit
from mia_lib.signals.signals import Signals
from mia_lib.studies.reference import PROTOCOL, ReferenceStudy
from mia_lib.studies.study import Question
from mia_lib.support.errors import MiaError

FEWEST = 3
"""Reference models: one plays the target while a threshold is learnt, attacked through at least two others."""


class SavedReferences(ReferenceStudy):
    """The study of reference models whose first model is the audited one; nothing is trained, and who attacks whom, what a
    threshold is learnt on and what intervals draw are as there."""

    def __init__(self, evidence: Evidence, seed: int):
        assert evidence.reference_answers is not None and evidence.reference_member is not None
        self.evidence, self.seed, self.defense = evidence, seed, "none"
        self.count, self.attacked = len(evidence.reference_answers) + 1, 1
        self._fits, self._details = {}, {}

    @property
    def clusters(self) -> np.ndarray:
        return self.evidence.speaker if self.evidence.speakers_known else self.evidence.recording

    @cached_property
    def _all(self) -> Signals:
        """Signals of the audited model, of the references, and of the unexposed model if there is one."""
        one = self.evidence
        assert one.reference_answers is not None and one.reference_member is not None
        models, member = [one.answers, *one.reference_answers], [one.member, *one.reference_member]
        copies = None
        if one.copies is not None and one.reference_copies is not None:
            copies = [one.copies, *np.swapaxes(one.reference_copies, 0, 1)]
        if one.control is not None:
            models, member = [*models, one.control], [*member, np.full_like(one.member, -1)]
            copies = None if copies is None else [*copies, copies[0]]
        return signals_of(one, models, np.stack(member), copies)

    @cached_property
    def signals(self) -> Signals:
        return self._all.pick(list(range(self.count)))

    def seen(self, needs: tuple[str, ...]) -> tuple[Signals, Signals, np.ndarray]:
        """The references' signals, the unexposed model's, and the rows they are of: all."""
        return self.signals, self._all.pick([len(self._all.labels) - 1]), np.arange(len(self.clusters))


class Referenced:
    """Attacks that are fitted on reference models, as `ReferenceStudy` does it; these never see the audited model."""

    def __init__(self, evidence: Evidence, seed: int):
        assert evidence.reference_answers is not None
        self.evidence, self.seed, self.clusters = evidence, seed, evidence.recording
        if len(evidence.reference_answers) < FEWEST:
            raise MiaError(
                f"{evidence.name}: {len(evidence.reference_answers)} reference models are too few: give at least {FEWEST}"
            )
        self.study = SavedReferences(evidence, seed)

    def read(self) -> None:
        """Read all answers; raises MiaError where they are not what they should be, or references do not differ in what they
        trained on: then this tells who is a member, without any answer."""
        _ = self.study.signals
        assert self.evidence.reference_member is not None
        inside = self.evidence.reference_member[:, self.evidence.member >= 0] == 1
        if inside.any() and not (inside.any(0) & ~inside.all(0)).any():
            raise MiaError(
                f"{self.evidence.name}: every recording is in all reference models or in none, so that attacks would read "
                "membership off reference_member: draw anew for each of them who is trained on"
            )

    def name(self, attack: str) -> str:
        """What records call it: an attack that could do without references shows that it did not."""
        return attack if getattr(ATTACKS.get(attack), "calibrated", False) else f"{attack}_references"

    def trial(self, attack: str) -> Trial:
        """An attack with its controls. Nothing was learnt on the audited model, so intervals know that there is one, and how
        many clusters. Raises MiaError where it cannot be fitted or scored."""
        question = Question(attack, PROTOCOL)
        (audit,) = self.study.ask(question)
        recordings = replace(audit, clusters=self.evidence.recording[audit.rows])  # what coins were thrown for
        tried = {"shuffled": replace(audit, member=recordings.shuffled(self.seed * 1000).member)}
        if self.evidence.control is not None and "copies" not in needs_of(attack):
            tried["unexposed"] = self.study.ask(question, control=True)[0]
        found, controls = Tried(audit).spread(0.0), {name: Tried(one).spread(0.0) for name, one in tried.items()}
        return Trial(self.name(attack), found, controls, self._halves(question, audit))

    def _halves(self, question: Question, audit: Audit) -> list[Audit]:
        """The audit with each half of the reference models alone; none where a half is too few."""
        known, again = self.study.count - 1, []
        if known // 2 < FEWEST:
            return []
        signals, _, _ = self.study.seen(question.needs)
        for half in (range(1, known // 2 + 1), range(known // 2 + 1, known + 1)):
            try:
                fitted = self.study.fit(question, 0, self.study.known(question, 0, tuple(half)))
                scores = self.study.score(question, fitted, signals.pick([0]))[0, audit.rows]
            except MiaError:
                continue
            if np.isfinite(scores).all():
                again.append(replace(audit, scores=scores))
        return again
