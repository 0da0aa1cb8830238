"""Made-up audits whose true rates are known: scores of members lie a gap above those of others, on unit normals.

What people and recordings share is drawn as in the project: fragments of a recording, recordings of a speaker, and targets
that differ. Used by the test of coverage and by the benchmark of it.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.rates import FPR_LEVELS, POOLED, POOLED_LEVEL


@dataclass(frozen=True)
class World:
    """targets of `speakers` people out of `people`, with `recordings` of `fragments` fragments each.

    recording, speaker: their shares of the scores' variance. apart: standard deviation of the targets' gaps. common: all
    targets are asked about the same fragments, and coins decide who is a member. by_speaker: members and others are different
    people.
    """

    targets: int = 3
    speakers: int = 37
    people: int = 100
    recordings: int = 8
    fragments: int = 3
    gap: float = 1.5
    recording: float = 0.3
    speaker: float = 0.0
    apart: float = 0.0
    common: bool = False
    by_speaker: bool = False

    def audits(self, rng: np.random.Generator, gaps: np.ndarray | None = None) -> list[Audit]:
        """One audit per target; gaps: of each, drawn if not given."""
        recordings, speakers = rng.standard_normal((self.people, self.recordings)), rng.standard_normal(self.people)
        gaps = self.gap + self.apart * rng.standard_normal(self.targets) if gaps is None else gaps
        everybody = np.sort(rng.permutation(self.people)[: self.speakers])
        found = []
        for gap in gaps:
            who = everybody if self.common else np.sort(rng.permutation(self.people)[: self.speakers])
            speaker = np.repeat(who, self.recordings * self.fragments)
            recording = np.tile(np.repeat(np.arange(self.recordings), self.fragments), len(who))
            member = self._members(rng, who)[speaker, recording]
            noise = np.sqrt(1 - self.recording - self.speaker) * rng.standard_normal(len(speaker))
            noise += (
                np.sqrt(self.recording) * recordings[speaker, recording] + np.sqrt(self.speaker) * speakers[speaker]
            )
            scores = gap * member + noise
            found.append(Audit(scores, member, speaker.astype(str), self.gap / 2, np.arange(len(scores))))
        return found

    def _members(self, rng: np.random.Generator, who: np.ndarray) -> np.ndarray:
        member = np.zeros((self.people, self.recordings), bool)
        if self.by_speaker:
            member[rng.permutation(who)[: len(who) // 2]] = True
        elif self.common:
            member = rng.random(member.shape) < 0.5
        else:
            halves = rng.permuted(np.tile(np.arange(self.recordings), (self.people, 1)), axis=1)
            member = halves < self.recordings // 2
        return member

    def truth(self, gaps: np.ndarray | None = None) -> dict[str, float]:
        """Every rate in the long run: of all targets that could be drawn, or of targets with these gaps."""
        if gaps is None:
            gaps = self.gap + self.apart * norm.ppf((np.arange(2000) + 0.5) / 2000)
        found = {name: norm.sf(norm.isf(level) - gaps).mean() for name, level in FPR_LEVELS.items() if level}
        recall, fpr = norm.sf(self.gap / 2 - gaps), norm.sf(self.gap / 2)
        found |= {"auc": norm.cdf(gaps / np.sqrt(2)).mean(), "recall": recall.mean()}
        found |= {"balanced_accuracy": (recall + 1 - fpr).mean() / 2, "precision": (recall / (recall + fpr)).mean()}
        return found | {POOLED: norm.sf(norm.isf(POOLED_LEVEL) - gaps).mean()}


PROJECT = World()
WORLDS = {
    "three targets, independent fragments": replace(PROJECT, recording=0.0),
    "three targets, recordings alike": replace(PROJECT, recording=0.5),
    "three targets, speakers alike": replace(PROJECT, speaker=0.3),
    "three targets, nobody in common": replace(PROJECT, people=4000),
    "three targets that differ": replace(PROJECT, apart=0.12),
    "three targets that differ much": replace(PROJECT, apart=0.4),
    "three targets, nothing to find": replace(PROJECT, gap=0.0),
    "three targets, nearly all found": replace(PROJECT, gap=4.0),
    "three targets, members other people": replace(PROJECT, by_speaker=True, speaker=0.2, speakers=26, people=70),
    "one target": replace(PROJECT, targets=1),
    "nine targets, same fragments": World(9, 25, 25, 12, common=True),
    "nine targets, same, that differ": World(9, 25, 25, 12, common=True, apart=0.12),
    "nine targets, same, nothing to find": World(9, 25, 25, 12, common=True, gap=0.0),
    "three of many, same fragments": World(3, 60, 60, 12, common=True),
}
