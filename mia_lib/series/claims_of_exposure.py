"""What the notebook on who is exposed claims, stated before anything is measured."""

from mia_lib.evaluation.claims import Claim, Pick

JUDGE = "lira_online"


def _found(measure: str, condition: str = "", attack: str = "none") -> Pick:
    return Pick(measure, attack, "utterance", condition=condition)


def claim_of_recordings(fewest: str, most: str) -> Claim:
    """What is claimed of the curve over recordings; fewest, most: conditions of its ends."""
    return Claim(
        "15.recordings",
        "People of whom a model has few recordings are found more often than people of whom it has many.",
        _found("tpr_at_fpr_1e-2", fewest, JUDGE),
        _found("tpr_at_fpr_1e-2", most, JUDGE),
    )


OF_EXPOSURE = [
    Claim(
        "15.names",
        "A model that answers with a name only leaks no more than whether it is right.",
        Pick("auc", "label_only", "utterance", queries=13),
        Pick("auc", "label_only", "utterance", queries=1),
        "near",
        0.03,
    ),
    Claim(
        "15.enrolment",
        "More recordings of a person help to tell whether the model knows them.",
        Pick("auc", "speaker_level", "speaker", enrolment=5),
        Pick("auc", "speaker_level", "speaker", enrolment=1),
    ),
    Claim(
        "15.exposure",
        "What other models doubt is exposed more, also where no model's luck is in both numbers.",
        Pick("exposure_correlation", "none", "utterance"),
        0.0,
        "below",
    ),
    Claim(
        "15.same_persons",
        "Who is exposed in one target tends to be exposed in another.",
        _found("exposure_agreement", "target"),
        0.0,
    ),
    Claim(
        "15.any_attack",
        "Believing any of several attacks finds more members than the best of them alone at as many false alarms.",
        _found("found_by_any_gain"),
        0.0,
    ),
    Claim(
        "15.forecast",
        "Of the hundredth of fragments whose loss moved most in training LiRA finds at least seven in ten at 0.1 % FPR.",
        _found("precision_at_1e-2", "loss_spread", JUDGE),
        0.7,
    ),
    Claim(
        "15.better",
        "LiRA finds that hundredth more often, at 0.1 % FPR, than it finds members at large.",
        _found("precision_at_1e-2", "loss_spread", JUDGE),
        _found("share_vulnerable", attack=JUDGE),
    ),
    Claim(
        "15.control",
        "A forecast by chance is as good as the share of all members that LiRA finds at 0.1 % FPR.",
        _found("precision_at_1e-2", "by_chance", JUDGE),
        _found("share_vulnerable", attack=JUDGE),
        "near",
        0.2,
    ),
]
