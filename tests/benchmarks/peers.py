"""Attacks of other libraries on our signals: each a function of reference and target signals that gives scores [1, N]."""

import numpy as np

from mia_lib.signals.signals import Signals


def art_lr(shadows: Signals, target: Signals) -> np.ndarray:
    """ART's black-box attack with a logistic model, linear in posteriors and labels: it cannot pair them."""
    return art("lr", shadows, target)


def art_nn(shadows: Signals, target: Signals) -> np.ndarray:
    """ART's black-box attack with its own network, which is its default; takes minutes."""
    return art("nn", shadows, target)


def art(kind: str, shadows: Signals, target: Signals) -> np.ndarray:
    """ART's MembershipInferenceBlackBox, learnt from one shadow's posteriors and labels on its audit set."""
    from art.attacks.inference.membership_inference import MembershipInferenceBlackBox
    from art.estimators.classification import BlackBoxClassifier

    classes = target.logits.shape[2]
    model = BlackBoxClassifier(lambda posteriors: posteriors, (classes,), classes)  # its inputs are the answers
    learnt = MembershipInferenceBlackBox(model, attack_model_type=kind)
    posteriors, labels, member = shadows.posteriors()[0], shadows.labels[0], shadows.member[0]
    learnt.fit(posteriors[member == 1], labels[member == 1], posteriors[member == 0], labels[member == 0])
    return learnt.infer(target.posteriors()[0], target.labels[0], probabilities=True).reshape(1, -1)


def guard_lira(references: Signals, target: Signals) -> np.ndarray:
    """PrivacyGuard's online LiRA with a variance per fragment; it leaves means and deviations to its user."""
    from privacy_guard.attacks.lira_attack import LiraAttack

    columns, audited = {"score_orig": target.statistics.phi[0]}, target.member[0] >= 0
    for name, side in (("in", 1), ("out", 0)):
        phi = np.where(references.member == side, references.statistics.phi, np.nan)[:, audited]
        for what, of in (("mean", np.nanmean), ("std", np.nanstd)):
            columns[f"score_{what}_{name}"] = np.zeros(len(audited))
            columns[f"score_{what}_{name}"][audited] = of(phi, axis=0)
    return guard(lambda ins, outs, _, rows: LiraAttack(ins, outs, rows, online_attack=True), columns, target)


def guard_rmia(references: Signals, target: Signals) -> np.ndarray:
    """PrivacyGuard's offline RMIA on posteriors of the true class, as it comes (a = 0.3)."""
    from privacy_guard.attacks.rmia_attack import RmiaAttack

    columns = {"score_orig": np.exp(-target.statistics.loss[0])}
    columns |= {f"score_ref_{k}": p for k, p in enumerate(np.exp(-references.statistics.loss))}
    columns |= {f"member_ref_{k}": member == 1 for k, member in enumerate(references.member)}
    return guard(RmiaAttack, columns, target)


def guard(build, columns: dict, target: Signals) -> np.ndarray:
    """Scores [1, N] of a PrivacyGuard attack, built of tables of members, non-members and the population."""
    import pandas as pd
    from privacy_guard.analysis.mia.aggregate_analysis_input import AggregationType

    member, scores = target.member[0], np.full(target.member.shape, np.nan)
    table = pd.DataFrame(columns | {"user_id": np.arange(len(member))})
    result = build(*(table[member == side].copy() for side in (1, 0, -1)), AggregationType.NONE).run_attack()
    for part in (result.df_train_merge, result.df_test_merge):
        scores[0, part["user_id"]] = part["score"]
    return scores


PEERS = {  # package to install -> the peer, our attack beside it, how many reference models both see; None: all
    "adversarial-robustness-toolbox": [(art_lr, "shokri", 1), (art_nn, "shokri", 1)],
    "privacyguard-platform": [(guard_lira, "lira_online", None), (guard_rmia, "rmia_offline", None)],
}
