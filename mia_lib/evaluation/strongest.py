"""The strongest of several attacks, and how far a defense changes it, with intervals that know that attacks were picked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
from scipy.special import ndtr
from scipy.stats import t as student

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.bootstrap import CHUNK, DrawnAudit, draw, found_at
from mia_lib.evaluation.evaluate import evaluate, thinnest
from mia_lib.evaluation.intervals import NORMAL, Measure, inflation, spread_of_mean
from mia_lib.evaluation.rates import FPR_LEVELS, POOLED, POOLED_LEVEL
from mia_lib.evaluation.resolution import measurable
from mia_lib.support.draws import generator
from mia_lib.support.errors import UsageError

Audits = Mapping[str, Sequence[Audit]]
"""Of each attack, one audit per target."""
STRONGEST = "strongest"
"""What records call whichever attack is the strongest."""
MEASURES = ("auc", "balanced_accuracy", POOLED)
LEVELS = {name: level for name, level in FPR_LEVELS.items() if level > 0}
"""True-positive rates of each target by itself, of which the strongest can be asked as well."""
ENOUGH = 2000
"""Examples, members and non-members, below which a trial cannot tell one false alarm in a thousand from none."""
NEAR = 3.0
"""Standard deviations from one half within which luck decides which way round an attack is."""


@dataclass(frozen=True)
class Contest:
    """Several attacks on one kind of models: values, and how they vary."""

    attacks: tuple[str, ...]
    values: np.ndarray  # [attacks], turned round where below one half and that may be
    drawn: list[np.ndarray]  # of each attack, [draws, targets]
    clusters: list[int]  # of each attack
    n: list[int]
    may_turn: bool  # whether an attacker may turn the answers round

    @property
    def best(self) -> int:
        """The attack with the largest value."""
        return int(self.values.argmax())

    def ways(self) -> list["Way"]:
        """Each attack; one near one half might as well have been turned round, and is there both ways."""
        found = []
        for value, drawn, clusters in zip(self.values, self.drawn, self.clusters, strict=True):
            found.append(Way(value, drawn, clusters))
            if self.may_turn and value - 0.5 < NEAR * drawn.mean(1).std():
                found.append(Way(1 - value, 1 - drawn, clusters))
        return found


@dataclass(frozen=True)
class Way:
    """One of several numbers of which the largest is asked for: its value, its draws [draws, targets], and of how many
    clusters."""

    value: float
    drawn: np.ndarray
    clusters: int

    def beyond(self, other: "Way") -> "Way":
        """How far it lies above another one, target by target. Where these are not as many, the draws are of the difference
        of means, widened to the spread of both together, and so have no clusters by which to widen them again."""
        gap, thin = self.value - other.value, min(self.clusters, other.clusters)
        if self.drawn.shape == other.drawn.shape:
            return Way(gap, self.drawn - other.drawn, thin)
        means = (self.drawn.mean(1) - other.drawn.mean(1))[:, None]
        spread = hypot(*(spread_of_mean(way.drawn.mean(0), way.drawn, thin) for way in (self, other)))
        usual = NORMAL * np.hypot(self.drawn.mean(1).std(), other.drawn.mean(1).std())
        return Way(gap, means * spread / max(usual, 1e-12), 0)

    def reach(self, most: float) -> float:
        """How many standard deviations of its draws its interval reaches, where no draw of any reaches further than `most`.

        Of one model the clusters are all that brings luck, and few of them bring more of it the further out one looks: the
        quantile of Student's t that lies as far out. With several, as many times more as `spread_of_mean` says at 95 %;
        `beyond` has widened those of unequal targets already.
        """
        if not self.clusters:
            return most
        if self.drawn.shape[1] == 1:
            return float(student.isf(ndtr(-most), max(self.clusters - 1, 1)))
        return most * inflation(self.drawn, self.clusters)


@dataclass(frozen=True)
class Strongest:
    """The attack with the largest value, that value with its simultaneous interval, and out of how many it is the largest."""

    attack: str
    measure: Measure
    out_of: int


def contests(
    sides: Sequence[Audits], measures: Sequence[str], draws: int, seed: int, chunk: int = CHUNK
) -> dict[str, list[Contest]]:
    """Attacks on several kinds of models (such as defended and not), by each measure, in the same draws of the bootstrap.

    Clusters of one name are the same everywhere. Of AUC and balanced accuracy an attacker may turn the answer round.
    Raises UsageError for other measures than MEASURES and LEVELS, and where there is no attack.
    """
    for measure in measures:
        if measure not in (*MEASURES, *LEVELS):
            choice = ", ".join((*MEASURES, *LEVELS))
            raise UsageError(f"unknown measure {measure!r} of the strongest attack: choose one of {choice}")
    if not all(side and all(side.values()) for side in sides):
        raise UsageError("the strongest of several attacks needs at least one audit of at least one attack")
    lists = [audits for side in sides for audits in side.values()]
    ends = np.cumsum([0, *map(len, lists)])
    found: dict[str, list[list[np.ndarray]]] = {measure: [[] for _ in lists] for measure in measures}
    for every in draw(
        [audit for audits in lists for audit in audits], draws, generator(seed, "strongest attack"), chunk
    ):
        for measure, of_all in found.items():
            for parts, start, end in zip(of_all, ends[:-1], ends[1:], strict=True):
                parts.append(_of(every[start:end], measure))
    points = [evaluate(audits, 0) for audits in lists]
    made: dict[str, list[Contest]] = {}
    for measure, of_all in found.items():
        drawn, values = [np.concatenate(parts) for parts in of_all], [point[measure].value for point in points]
        made[measure] = _told_apart(sides, measure, drawn, np.array(values))
    return made


def _told_apart(sides: Sequence[Audits], measure: str, drawn: list[np.ndarray], values: np.ndarray) -> list[Contest]:
    """The contest on each side, of values and draws of the attacks of all."""
    may_turn = measure in ("auc", "balanced_accuracy")
    if may_turn:
        for j in np.flatnonzero(values < 0.5):
            drawn[j], values[j] = 1 - drawn[j], 1 - values[j]
    made, first = [], 0
    for side in sides:
        own = slice(first, first + len(side))
        clusters = [int(thinnest(audits).value) for audits in side.values()]
        n = [sum(len(audit.member) for audit in audits) for audits in side.values()]
        made.append(Contest(tuple(side), values[own], drawn[own], clusters, n, may_turn))
        first += len(side)
    return made


def _of(audits: Sequence[DrawnAudit], measure: str) -> np.ndarray:
    """A measure of one attack in some draws, [draws, targets]."""
    if measure == POOLED:
        return found_at(audits, POOLED_LEVEL)
    if measure in LEVELS:
        return np.stack([found_at([audit], LEVELS[measure])[:, 0] for audit in audits], axis=1)
    if measure == "auc":
        return np.stack([audit.auc() for audit in audits], axis=1)
    decided = [audit.decisions(audit.audit.threshold)["balanced_accuracy"] for audit in audits]
    return np.stack(decided, axis=1)


def able(audits: Audits, measure: str) -> Audits:
    """The attacks that were tried on enough examples for a measure: where one false alarm in a thousand is counted over all
    targets, ENOUGH examples, or the most there are, and as many others as can show it."""
    if measure != POOLED:
        return audits
    sizes = {name: sum(len(audit.member) for audit in own) for name, own in audits.items()}
    others = {name: sum(int((~audit.member).sum()) for audit in own) for name, own in audits.items()}
    enough = min(ENOUGH, max(sizes.values(), default=0))
    return {
        name: own for name, own in audits.items() if sizes[name] >= enough and measurable(POOLED_LEVEL, others[name])
    }


def strongest_of(
    audits: Audits, draws: int = 1000, seed: int = 0, measure: str = "auc", chunk: int = CHUNK
) -> Strongest:
    """The attack with the largest value, with a 95 % interval of the largest true one; chunk: draws at once.

    How far any attack rises above itself in a draw, at most, in its own standard deviations, bounds all of them from below
    together, and so the largest; how far any falls, from above (studentised max-statistics: Romano and Wolf, Econometrica
    2005). The largest of the lower ends is that of the largest true value, and so with the upper ones: an attack tried on few
    examples widens nothing but its own bounds. Percentiles of the largest drawn value would not do: they repeat the optimism
    of picking. How far targets lie apart widens each as `spread_of_mean` says. The value itself stays the largest and is
    optimistic.
    """
    return _winner(contests([audits], [measure], draws, seed, chunk)[measure][0])


def change_of_strongest(new: Audits, old: Audits, draws: int = 1000, seed: int = 0, measure: str = "auc") -> Measure:
    """The largest value of `new` less the largest of `old`, with a 95 % interval, paired where targets are the same.

    Recordings weigh the same on both sides of each draw, so what both share falls away. Attacks were picked on either side:
    all pairs of a new and an old attack are bounded together, as in `strongest_of`, and the difference of the largest is the
    largest, over the new, of the smallest, over the old. Where two have as many targets, theirs is taken target by target
    (they must come in the same order); else both spreads add up.
    """
    return _change(*contests([new, old], [measure], draws, seed)[measure])


def strongest_beside(
    new: Audits, old: Audits, draws: int = 1000, seed: int = 0
) -> dict[str, tuple[Strongest, Measure]]:
    """By each of MEASURES that attacks on both sides are `able` to show: the strongest of `new` (`strongest_of`), and how far
    it lies from that of `old` (`change_of_strongest`), all in the same draws."""
    found = {}
    sides: dict[tuple, list[str]] = {}
    for measure in MEASURES:
        named = tuple(tuple(able(side, measure)) for side in (new, old))
        if all(named):
            sides.setdefault(named, []).append(measure)
    for (own, bare), measures in sides.items():
        chosen = [{name: side[name] for name in names} for side, names in ((new, own), (old, bare))]
        for measure, (after, before) in contests(chosen, measures, draws, seed).items():
            found[measure] = _winner(after), _change(after, before)
    return found


def _winner(contest: Contest) -> Strongest:
    lows, highs = _simultaneous(contest.ways())
    best = contest.best
    measure = Measure(float(contest.values[best]), max(0.0, lows.max()), min(1.0, highs.max()), contest.n[best])
    return Strongest(contest.attacks[best], measure, len(contest.attacks))


def _change(after: Contest, before: Contest) -> Measure:
    a, b = after.best, before.best
    new, old = after.ways(), before.ways()
    bounds = _simultaneous([one.beyond(other) for one in new for other in old])
    low, high = (ends.reshape(len(new), len(old)).min(1).max() for ends in bounds)
    gap = float(after.values[a] - before.values[b])
    return Measure(gap, float(low), float(high), min(after.n[a], before.n[b]))


def _simultaneous(ways: Sequence[Way]) -> tuple[np.ndarray, np.ndarray]:
    """Lower ends, and upper ends, that leave none of several numbers outside in 97.5 % of cases each: [ways]."""
    means = np.stack([way.drawn.mean(1) for way in ways], axis=1)
    off = means - means.mean(0)
    spread = off.std(0)
    scaled = off / np.maximum(spread, 1e-12)
    values = np.array([way.value for way in ways])
    down, up = (
        np.array([way.reach(float(np.quantile(most, 0.975))) for way in ways])
        for most in (scaled.max(1), (-scaled).max(1))
    )
    return values - spread * down, values + spread * up
