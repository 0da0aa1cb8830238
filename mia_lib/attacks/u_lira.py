"""U-LiRA (Hayes et al., SaTML 2025, arXiv 2403.01218): was this recording trained on, and then unlearned?

LiRA with other references: on one side models that trained on an example and were made to forget it, on the other models that
never saw it and have served somebody else's request. The paper calls it "per-example", in contrast to the "population"
attacks of the unlearning literature, in which all examples share one threshold. Its text could be read in excerpts only: that
models of the second side have unlearned too is as its follow-ups describe it (Naderloui et al., arXiv 2506.13009).
"""

import numpy as np

from mia_lib.attacks.lira import LiRA
from mia_lib.signals.signals import Signals

Scores = list[tuple[np.ndarray, np.ndarray]]
"""For each target, scores [n] where models stand that trained on the examples, and where those stand that never saw them."""


def without_class(signals: Signals) -> Signals:
    """What is left where the person's class is taken out of the answers: who is named then, and how surely."""
    logits = signals.logits.copy()
    np.put_along_axis(logits, np.where(signals.labels < 0, 0, signals.labels)[..., None], -np.inf, -1)
    return Signals(logits, np.full_like(signals.labels, -1), signals.member, signals.aligned)


def u_lira(signals: Signals, controls: Signals | None = None) -> Scores:
    """Each pair of models attacked by means of all others.

    signals: of 2 G models; those of the first half trained on the n examples and forgot them, those of the second never saw
    them. Target i is model i of each half; neither is among the references, so that these say nothing of who is which. It is
    "model i" for each example by itself: which one that is may differ from person to person. controls: of models that stand
    in the place of the first of the first half, and never saw the examples either.
    """
    group = len(signals.logits) // 2
    member = np.repeat(np.array([1, 0], np.int8), group)[:, None].repeat(signals.logits.shape[1], 1)
    known, scores = signals.with_members(member), []
    for i in range(group if controls is None else len(controls.logits)):
        fitted = LiRA().fit(known.pick([k for k in range(2 * group) if k % group != i]))
        inside = known.pick([i]) if controls is None else controls.pick([i])
        scores.append((fitted.score(inside)[0], fitted.score(known.pick([group + i]))[0]))
    return scores
