"""A single model, without reference models: attacks are fitted on some of its speakers and judged on others."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np

from mia_lib.attacks.base import ATTACKS, learns, needs_of
from mia_lib.auditing.answers import signals_of
from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.folds import deal_speakers, decisions, learnt_share, ranks_within
from mia_lib.auditing.trial import Trial, Tried
from mia_lib.evaluation.audit import Audit
from mia_lib.signals.signals import Signals
from mia_lib.studies.study import naming
from mia_lib.support.errors import MiaError

REFITS = 3
Scored = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From membership int8 [N], the columns that are audited [n], and the fold of each: their scores, float [n]."""


class Alone:
    """Attacks on one model. Whatever they learn, thresholds too, is learnt on other speakers than it is judged on (see
    `folds`). The shuffled control is fitted anew, on shuffled membership."""

    def __init__(self, evidence: Evidence, seed: int):
        self.evidence, self.seed = evidence, seed
        self.unit = evidence.speaker if evidence.protocol == "speaker" else evidence.unit  # what is a member or not
        self.clusters = evidence.speaker if evidence.speakers_known else evidence.recording

    @cached_property
    def signals(self) -> Signals:
        """What the model answers, [1, N]."""
        copies = None if self.evidence.copies is None else [self.evidence.copies]
        return signals_of(self.evidence, [self.evidence.answers], self.evidence.member[None], copies)

    @cached_property
    def unexposed(self) -> Signals | None:
        """The same rows answered by a model that trained on none of them."""
        if self.evidence.control is None:
            return None
        return signals_of(self.evidence, [self.evidence.control], self.evidence.member[None])

    def read(self) -> None:
        """Read all answers; raises MiaError where they are not what they should be."""
        _ = self.signals, self.unexposed

    def name(self, attack: str) -> str:
        """What records call it."""
        return attack

    def trial(self, attack: str) -> Trial:
        """An attack with its controls. Raises MiaError where it cannot be fitted or scored."""
        needs = needs_of(attack)
        controls = (
            {} if self.unexposed is None or "copies" in needs else {"unexposed": self._scored(attack, self.unexposed)}
        )
        return self.tried(
            self.name(attack), self._scored(attack, self.signals), learns(attack), "person" in needs, controls
        )

    def tried(
        self, name: str, scored: Scored, learns: bool, by_person: bool, others: dict[str, Scored] | None = None
    ) -> Trial:
        """What comes of scores by other folds, with the shuffled control and those of other answers in the model's place."""
        member = self.evidence.member
        columns = np.flatnonzero(member >= 0)
        if by_person:
            columns = columns[np.unique(self.evidence.speaker[columns], return_index=True)[1]]
        found = self._judged(scored, member, columns, learns)
        dealt = replace(found.audit, clusters=self.unit[columns]).shuffled(self.seed * 1000).member
        mixed = self._dealt(member, columns, dealt, by_person)
        controls = {"shuffled": self._judged(scored, mixed, columns, learns)}
        controls |= {one: self._judged(way, member, columns, learns) for one, way in (others or {}).items()}
        learnt = learnt_share(found.audit.scores, controls["shuffled"].audit.scores) if learns else 0.0
        controls = {control: one.spread(learnt) for control, one in controls.items()}
        again = [self._judged(scored, member, columns, True, k).audit for k in range(1, 1 + REFITS * learns)]
        return Trial(name, found.spread(learnt), controls, again)

    def _dealt(self, member: np.ndarray, columns: np.ndarray, dealt: np.ndarray, by_person: bool) -> np.ndarray:
        """Membership int8 [N] where that of the audited columns is dealt anew; persons take all their rows along."""
        mixed = np.full_like(member, -1)
        mixed[columns] = dealt
        if by_person:
            side = dict(zip(self.evidence.speaker[columns], dealt, strict=True))
            rows = np.flatnonzero(member >= 0)
            mixed[rows] = [side[speaker] for speaker in self.evidence.speaker[rows]]
        return mixed

    def _judged(self, scored: Scored, member: np.ndarray, columns: np.ndarray, learns: bool, again: int = 0) -> Tried:
        inside = member[columns] == 1
        fold = deal_speakers(inside, self.clusters[columns], self.unit[columns], self.seed, again)
        scores = scored(member, columns, fold)
        if np.isnan(scores).any():
            raise MiaError("gives scores that are not numbers")
        if learns:
            scores = ranks_within(scores, fold)
        audit = Audit(scores, inside, self.clusters[columns], np.inf, columns)
        called = decisions(scores, inside, fold).astype(float)
        return Tried(audit, Audit(called, inside, self.clusters[columns], 0.5, columns))

    def _scored(self, attack: str, signals: Signals) -> Scored:
        def scored(member: np.ndarray, columns: np.ndarray, fold: np.ndarray) -> np.ndarray:
            with naming(attack):
                if not learns(attack):
                    return _fitted_score(attack, self.seed, signals, member)[columns]
                scores, of_row = np.empty(len(columns)), dict(zip(self.unit[columns], fold, strict=True))
                row_fold = np.array([of_row.get(unit, -1) for unit in self.unit])
                for k in np.unique(fold):
                    taught = np.where(row_fold == k, -1, member).astype(np.int8)
                    scores[fold == k] = _fitted_score(attack, self.seed, signals, taught)[columns[fold == k]]
                return scores

        return scored


def _fitted_score(attack: str, seed: int, signals: Signals, member: np.ndarray) -> np.ndarray:
    """Scores float [N] of one model by an attack that was fitted on it with a membership, int8 [N], which it then forgets."""
    fitted = ATTACKS.get(attack)(seed=seed * 1000).fit(signals.with_members(member[None]))
    return fitted.score(signals.with_members(np.full_like(signals.member, -1)))[0]
