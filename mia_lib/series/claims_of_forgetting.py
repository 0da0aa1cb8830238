"""What the notebook on unlearning claims, stated before anything is measured."""

from mia_lib.evaluation.changes import SAME
from mia_lib.evaluation.claims import Claim, Pick
from mia_lib.evaluation.forgotten import ALL, BEFORE, NO_CLASS, OTHERS, RETRAIN, U_LIRA
from mia_lib.evaluation.verdicts import TOLERANCE

EXPOSED = 0.02  # rise of LiRA's AUC up to which those who stay are exposed as before


def _recordings(method: str, condition: str = ALL) -> Pick:
    """What U-LiRA finds by a person's training recordings behind a method."""
    return Pick("auc", U_LIRA, "paper", method, condition=condition)


FORGETTING = [
    Claim(
        "14.retrained",
        "Recordings of a person left out of a retraining from scratch are not told from those of one who was never there.",
        _recordings(RETRAIN),
        0.5,
        "near",
        SAME,
    ),
    Claim(
        "14.retrained_person",
        "A person left out of a retraining is not told, by other recordings, from one who was never there.",
        Pick("auc", U_LIRA, "speaker", RETRAIN, condition=ALL),
        0.5,
        "near",
        SAME,
    ),
    Claim(
        "14.fine_tuned",
        "An epoch of further training without a person does not make a model forget: it is still told that they were there.",
        _recordings("fine_tune:1"),
        0.5,
    ),
    Claim(
        "14.removed",
        "It is enough to take the person's class out of the answers: those of the other classes tell nothing.",
        _recordings(BEFORE, NO_CLASS),
        0.5,
        "near",
        SAME,
    ),
]


def claims_of_method(method: str, exact: bool = False) -> list[Claim]:
    """What is claimed of an unlearning method: that it leaves no more of a person's recordings, and of the person, than
    training again does, or than guessing finds; and that those who stay pay neither in accuracy nor in privacy. exact: it
    leaves nothing by construction, so that only the price is asked."""
    left = {"recordings": ("paper", "a person's training recordings"), "persons": ("speaker", "a person as a whole")}
    claims = [
        Claim(
            f"14.{method}.{name}",
            f"`{method}` leaves no more of {words} than training again does, or guessing finds.",
            Pick("auc", U_LIRA, protocol, method, condition=ALL),
            Pick("auc", U_LIRA, protocol, RETRAIN, condition=ALL),
            "near",
            SAME,
            0.5,
        )
        for name, (protocol, words) in left.items()
        if not exact
    ]
    lost = Pick("test_accuracy_change", protocol="", defense=method, condition=OTHERS)
    text = f"`{method}` costs those who stay at most {100 * TOLERANCE:.0f} points of accuracy."
    claims.append(Claim(f"14.{method}.accuracy", text, lost, -TOLERANCE))
    exposed = Pick("auc_change", "lira_online", "utterance", method, condition=OTHERS)
    text = f"Behind `{method}` the recordings of those who stay are found as little as before."
    return [*claims, Claim(f"14.{method}.exposure", text, exposed, EXPOSED, "below")]
