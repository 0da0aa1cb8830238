"""PMIA, the proxy attack (Du et al., NDSS 2026, arXiv 2507.21412): how sure would models be that had trained on the fragment?

An attacker who may not train on the query has only models outside of it. How they would answer if it were a member is read
off proxies: other fragments, on which those models did train. The score is log p_in of the proxies - log p_out of the query.

As in the authors' code (github.com/zealscott/MIA, folder PMIA) p_in is one distribution around all logit-scaled confidences
of the proxies as members, whatever the query's own level is. Otherwise here: both sides are Student-t predictions as in
`lira`, not normal distributions around medians; few proxies are pooled with all; and an instance's proxies are those of
which outside models are as sure, the code's are look-alikes of its class. The paper's text was not at hand.
"""

import numpy as np
from scipy.stats import t as student

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_references
from mia_lib.attacks.lira import SMALLEST_VARIANCE, Predictive, predictions
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError

NEIGHBOURS = 64  # fragments of which outside models are as sure as of one; about half of them each model trained on
ALL_AS = 8  # so many answers do those of all proxies count for beside a fragment's own proxies, which may be few


class Proxies:
    """Base of the attacks, which differ in who is a proxy of whom.

    Only models outside of a fragment speak for it, so neither it nor the rest of its recording, which shares its coins, is
    its own proxy.
    """

    calibrated = True

    def __init__(self, seed: int = 0):
        del seed  # nothing is drawn

    def over_proxies(self, sums: np.ndarray, centre: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Sums over the proxies of each fragment, float [3, K, N], from `sums` [3, K, N] of each by itself; centre [N] is how
        sure outside models are of it on average, labels [N] its class."""
        raise NotImplementedError

    def fit(self, references: Signals) -> "Proxies":
        inside, outside = check_references(references)
        phi = references.statistics.phi
        (self.outside,) = predictions(phi, (outside,))
        known = inside & outside.any(0)
        sums = np.stack([known, np.where(known, phi, 0.0), np.where(known, phi**2, 0.0)])
        everyone = sums.sum(2) @ outside
        others = sums.sum((1, 2))[:, None] - sums.sum(1)  # where no model is outside, all but the fragment itself
        everyone = np.where(everyone[0] > 0, everyone, others)
        if not everyone[0].all():
            raise MiaError("no other fragment trained one reference model and not another, to be a proxy")
        own = (self.over_proxies(sums, self.outside.centre, references.labels[0]) * outside).sum(1)
        self.inside = one_more(own + ALL_AS * everyone / everyone[0])
        return self

    def score(self, target: Signals) -> np.ndarray:
        phi = target.statistics.phi
        return student.logpdf(phi, *self.inside) - student.logpdf(phi, *self.outside)


def one_more(sums: np.ndarray) -> Predictive:
    """What one more number is like, of which there were so many, with this sum and this sum of squares: `sums` [3, N]."""
    n, total, squares = sums
    centre = total / n
    variance = (squares - total * centre) / (n - 1) * (1 + 1 / n)
    return Predictive(n - 1, centre, np.sqrt(np.maximum(variance, SMALLEST_VARIANCE)))


@ATTACKS.register("pmia_global")
class GlobalProxies(Proxies):
    """PMIA: as likely as for members at large, against models that never trained on it? (Du et al., NDSS 2026)"""

    def over_proxies(self, sums, centre, labels):
        return sums.sum(2, keepdims=True)


@ATTACKS.register("pmia_class")
class ClassProxies(Proxies):
    """PMIA with proxies of the same speaker: other recordings of whoever speaks (Du et al., NDSS 2026)."""

    def over_proxies(self, sums, centre, labels):
        order = np.argsort(labels, kind="stable")
        classes, first = np.unique(labels[order], return_index=True)
        return np.add.reduceat(sums[..., order], first, axis=2)[..., np.searchsorted(classes, labels)]


@ATTACKS.register("pmia_instance")
class InstanceProxies(Proxies):
    """PMIA with proxies that are as hard: models outside are about as sure of them (after Du et al., NDSS 2026)."""

    def __init__(self, seed: int = 0, neighbours: int = NEIGHBOURS):
        super().__init__(seed)
        self.neighbours = neighbours

    def over_proxies(self, sums, centre, labels):
        proxies = np.flatnonzero(sums[0].any(0))
        proxies = proxies[np.argsort(centre[proxies], kind="stable")]
        count = min(self.neighbours, len(proxies))
        first = np.clip(np.searchsorted(centre[proxies], centre) - count // 2, 0, len(proxies) - count)
        running = np.cumsum(np.pad(sums[..., proxies], ((0, 0), (0, 0), (1, 0))), axis=2)
        return running[..., first + count] - running[..., first]
