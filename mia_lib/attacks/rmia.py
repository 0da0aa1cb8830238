"""RMIA, the robust membership inference attack (Zarifzadeh et al., ICML 2024): is x more likely, relative to its
average likelihood, than most other fragments z?

The likelihood is the posterior of the true class. Where models are sure of everything, it is 1 for nearly all fragments and
the ratios say nothing: on such models the attack needs posteriors at a higher temperature, which is tuned on the references.
"""

import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_references, masked_mean
from mia_lib.signals.signals import Signals
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError

TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 16.0)
CORRECTIONS = (0.0, 0.3, 0.6, 1.0)  # values of the offline attack's a that are tried
TUNERS, TUNING_FRAGMENTS = 3, 3000  # reference models that play the target while these are tuned, on so many fragments


def average(p: np.ndarray, inside: np.ndarray, outside: np.ndarray, a: float | None) -> np.ndarray:
    """Pr(x) [N] from true-class posteriors p [K, N]: half in, half out (a None: online), or from the out models alone.

    A fragment that no model, or every model, trained on (the population, or where few models tossed coins) has one mean only:
    it stands for both halves. Offline a fragment without out models is taken to be as the others are on average.
    """
    out = masked_mean(p, outside)
    if a is None:
        both = np.stack([masked_mean(p, inside), out])
        return np.where(np.isnan(both).any(0), np.nansum(both, 0), both.mean(0))
    out = np.where(np.isnan(out), np.nanmean(out), out)
    return ((1 + a) * out + (1 - a)) / 2


def against(p: np.ndarray, average: np.ndarray) -> np.ndarray:
    """p / average; infinite where the average is zero, as it is where no model says anything of a fragment."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return p / average


def dominated(ratio: np.ndarray, population: np.ndarray, gamma: float) -> np.ndarray:
    """Share of z in `population` (bool [N]), without x itself, with ratio(x) / ratio(z) >= gamma; ratio [K, N] -> [K, N].

    By sorting: memory and time grow with N log N, not N².
    """
    scores = np.empty_like(ratio)
    for k, row in enumerate(ratio):
        ordered = np.sort(row[population])
        counts = np.searchsorted(ordered, row / gamma, side="right").astype(float)
        itself = population & (row <= row / gamma)
        scores[k] = (counts - itself) / (len(ordered) - population)
    return scores


def auc(scores: np.ndarray, member: np.ndarray) -> float:
    """Area under the ROC curve by ranks, ties counted half (Mann and Whitney); for the many choices that are compared.

    One half where there are members only or non-members only: nothing can be told.
    """
    members, others = member.sum(), (~member).sum()
    if not members * others:
        return 0.5
    return float((rankdata(scores)[member].sum() - members * (members + 1) / 2) / (members * others))


@ATTACKS.register("rmia_online")
class RMIA:
    """Share of the population that the fragment's likelihood ratio dominates; reference models in and out of the fragment."""

    calibrated = True
    online = True

    def __init__(
        self,
        seed: int = 0,
        gamma: float = 2.0,
        a: float | None = None,
        temperature: float | None = None,
        population: str = "audit",
    ):
        """a: corrects the offline average. temperature: of the posteriors. None tunes them on the references.

        population: what fragments are compared with: the "audit" set, or the "reserved" ones (Signals.population).
        """
        self.seed, self.gamma, self.a, self.temperature, self.population = seed, gamma, a, temperature, population

    def fit(self, references: Signals) -> "RMIA":
        inside, outside = check_references(references, self.online)
        z = np.any(references.member >= 0, axis=0) if self.population == "audit" else references.population
        if z is None:
            raise MiaError("RMIA was asked to use a reserved population, but the signals name none")
        self.z: np.ndarray = z
        self.temperature, self.a = self._tuned(references, inside, outside)
        p = expit(references.confidence(self.temperature))
        self.average = average(p, inside, outside, self.a)
        return self

    def _tuned(self, references: Signals, inside: np.ndarray, outside: np.ndarray) -> tuple[float, float | None]:
        """Temperature and a with the best mean AUC when reference models are attacked through the others."""
        temperatures = TEMPERATURES if self.temperature is None else (self.temperature,)
        corrections: tuple[float | None, ...] = (None,) if self.online else CORRECTIONS if self.a is None else (self.a,)
        choices = [(t, a) for t in temperatures for a in corrections]
        if len(choices) == 1:
            return choices[0]
        z = self.z
        if len(z) > TUNING_FRAGMENTS:
            columns = generator(self.seed, "fragments to compare with in RMIA").permutation(
                np.flatnonzero(outside.any(0))
            )
            columns = columns[:TUNING_FRAGMENTS]
            references = references.columns(columns)
            inside, outside, z = inside[:, columns], outside[:, columns], z[columns]
        audited = references.member >= 0
        found = dict.fromkeys(choices, 0.0)
        for temperature in temperatures:
            p = expit(references.confidence(temperature))
            for k in np.flatnonzero(audited.any(1))[:TUNERS]:
                others = np.arange(len(p)) != k
                for a in corrections:
                    ratio = against(p[k], average(p[others], inside[others], outside[others], a))
                    known = np.isfinite(ratio)
                    scores = dominated(np.where(known, ratio, 0.0)[None], z & known, self.gamma)[0]
                    rows = known & audited[k]
                    found[temperature, a] += auc(scores[rows], inside[k][rows])
        return max(found, key=lambda choice: found[choice])

    def score(self, target: Signals) -> np.ndarray:
        assert self.temperature is not None  # given, or tuned by `fit`
        p = expit(target.confidence(self.temperature))
        return dominated(against(p, self.average), self.z, self.gamma)


@ATTACKS.register("rmia_offline")
class OfflineRMIA(RMIA):
    """RMIA with reference models that never trained on the fragment; their bias is corrected by a, tuned on them."""

    online = False
