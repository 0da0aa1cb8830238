"""What the notebooks claim, stated before anything is measured. `Lab.claim` decides each on the records of its notebook.

Beliefs are among them: what one might well expect, and what then holds or does not.
"""

from dataclasses import replace

from mia_lib.auditing.baseline import BLIND
from mia_lib.evaluation.baseline import BASELINE
from mia_lib.evaluation.changes import SAME
from mia_lib.evaluation.claims import Claim, Pick
from mia_lib.evaluation.reproduction import CLAIMED
from mia_lib.evaluation.strongest import STRONGEST
from mia_lib.evaluation.verdicts import TOLERANCE
from mia_lib.series.claims_of_exposure import OF_EXPOSURE
from mia_lib.series.claims_of_forgetting import FORGETTING
from mia_lib.series.claims_of_neighbours import OF_NEIGHBOURS
from mia_lib.support.errors import UsageError

PAPER, SMALL = "top3_network", 0.03


def _top3(measure: str, protocol: str, **about) -> Pick:
    """A rate of the paper's attack on the undefended targets."""
    return Pick(measure, PAPER, protocol, **about)


def _reference(measure: str, attack: str, **about) -> Pick:
    """A rate of an attack that was fitted on reference models."""
    return Pick(measure, attack, "utterance", **about)


def _audited(attack: str, condition: str, protocol: str = "utterance", **about) -> Pick:
    """The AUC of an attack in an audit, which the condition names."""
    return Pick("auc", attack, protocol, condition=condition, **about)


CLAIMS = [
    Claim(
        "00.surer",
        "Models are surer of a recording that they trained on than models that did not.",
        Pick("surer_share", condition="two_worlds"),
        0.5,
    ),
    Claim("00.paper", "The paper's attack is right more often than a coin.", _top3("balanced_accuracy", "paper"), 0.5),
    Claim("00.recordings", "Recordings are told from others of the same people.", _top3("auc", "utterance"), 0.5),
    Claim("00.persons", "Persons are told from strangers without a training recording.", _top3("auc", "speaker"), 0.5),
    Claim(
        "01.pieces",
        "It does not matter whether pieces of speech or whole recordings are shuffled.",
        Pick("nearest_neighbour_accuracy", condition="by_piece"),
        Pick("nearest_neighbour_accuracy", condition="by_recording"),
        "near",
        SMALL,
    ),
    Claim(
        "02.learnt",
        "A network that is trained on shuffled labels cannot name even half of what it was trained on.",
        Pick("train_accuracy", condition="shuffled_labels"),
        0.5,
        "below",
    ),
    Claim(
        "02.gap",
        "Models name what they were trained on more often than other recordings of the same people.",
        Pick("train_accuracy", protocol=""),
        Pick("test_accuracy", protocol=""),
    ),
    Claim(
        "03.threshold",
        "Without the owner's data nobody can tell where to set the threshold.",
        Pick("balanced_accuracy_target_threshold", "largest_posterior", "paper"),
        Pick("balanced_accuracy", "largest_posterior", "paper"),
        "above",
        SMALL,
    ),
    Claim(
        "04.floor",
        "Recordings are found better than by asking whether the answer is right.",
        _top3("auc", "utterance"),
        Pick("auc", "gap", "utterance"),
    ),
    Claim(
        "04.recordings",
        "Other recordings of the same people are called members no more often than strangers: only recordings tell.",
        _top3("accept_rate_held_out", "paper"),
        _top3("accept_rate_unseen", "paper"),
        "near",
        SMALL,
    ),
    Claim(
        "04.persons",
        "Other recordings of the same people are called members as often as training recordings: only persons tell.",
        _top3("accept_rate_held_out", "paper"),
        _top3("accept_rate_train", "paper"),
        "near",
        SMALL,
    ),
    Claim(
        "04.average",
        "On average recordings are found better than persons.",
        _top3("auc", "utterance"),
        _top3("auc", "speaker"),
    ),
    Claim(
        "04.corner",
        "At 1 % false alarms recordings are found better than persons.",
        _top3("tpr_at_fpr_1e-2", "utterance"),
        _top3("tpr_at_fpr_1e-2", "speaker"),
    ),
    Claim(
        "05.accuracy",
        "Far-field speech is named right less often than near speech.",
        Pick("test_accuracy", protocol="", corpus="far"),
        Pick("test_accuracy", protocol="", corpus="near"),
        "below",
    ),
    Claim(
        "05.recordings",
        "A model that generalises worse leaks its recordings more.",
        _top3("auc", "utterance", corpus="far"),
        _top3("auc", "utterance", corpus="near"),
    ),
    Claim(
        "05.persons",
        "It leaks its persons more, too.",
        _top3("auc", "speaker", corpus="far"),
        _top3("auc", "speaker", corpus="near"),
    ),
    Claim(
        "05.sources",
        "Where speech is recorded several times, a split by recording flatters.",
        Pick("nearest_neighbour_accuracy", condition="by_utterance"),
        Pick("nearest_neighbour_accuracy", condition="by_source"),
    ),
    Claim(
        "06.average",
        "LiRA and the paper's attack have nearly the same AUC.",
        _reference("auc", "lira_online"),
        _reference("auc", "top3_network_references"),
        "near",
        SMALL,
    ),
    Claim(
        "06.corner",
        "At 1 % false alarms LiRA finds more members than the paper's attack.",
        _reference("tpr_at_fpr_1e-2", "lira_online"),
        _reference("tpr_at_fpr_1e-2", "top3_network_references"),
    ),
    Claim(
        "06.temperature",
        "RMIA has a higher AUC at the temperature that it chose than with posteriors as they are.",
        _reference("auc", "rmia_online"),
        _reference("auc", "rmia_online", condition="temperature_1"),
    ),
    Claim(
        "08.gap",
        "Over this family, the more a method narrows the gap between training and test accuracy, the less is found.",
        Pick("gap_correlation", condition="regularisation"),
        0.0,
    ),
    *OF_NEIGHBOURS,
    Claim(
        "11.large_batches",
        "Trained privately from scratch at a promise of 8, a model is right more often than every second time.",
        Pick("validation_accuracy", defense="dp_sgd:8", condition="sweep"),
        0.5,
    ),
    Claim(
        "11.public",
        "At a promise of 8, to begin from public voices leaves more accuracy than to begin from nothing.",
        Pick("validation_accuracy", defense="dp_finetune:8", condition="sweep"),
        Pick("validation_accuracy", defense="dp_sgd:8", condition="sweep"),
    ),
    Claim(
        "11.high",
        "Training the last layer of a public network at ε = 1000 costs at most five points of accuracy.",
        Pick("test_accuracy_change", protocol="", defense="dp_finetune:1000"),
        -0.05,
    ),
    Claim(
        "11.bound",
        "Behind a promise of 8 for single fragments, attacks prove less than what it promises for whole recordings.",
        Pick("largest_epsilon_lower_bound", defense="dp_finetune:8"),
        Pick("epsilon_promised_for_recordings", defense="dp_finetune:8"),
        "below",
    ),
    Claim(
        "12.gap",
        "Over all families, the more a defense narrows the gap between training and test accuracy, the less is found.",
        Pick("gap_correlation", condition="all"),
        0.0,
    ),
    Claim(
        "13.leaks",
        "Saved answers of a model that was trained elsewhere tell what it was trained on.",
        _audited(STRONGEST, "saved_signals"),
        0.5,
    ),
    Claim(
        "13.memory",
        "An attack finds more in this model than in one of the same people that heard none of these recordings.",
        _audited("loss", "saved_signals"),
        _audited("loss", "saved_signals", control="unexposed"),
    ),
    Claim(
        "13.trap",
        "Where members came by telephone and the others by microphone, what an attack finds is what the model "
        "remembers: in one that heard none of these recordings it is at chance.",
        _audited("loss", "two_microphones_unexposed"),
        0.5,
        "near",
        SMALL,
    ),
    Claim(
        "13.blind",
        "Who never asks the model tells the two sides apart, too.",
        _audited(BLIND, "two_microphones"),
        0.5,
    ),
    Claim(
        "13.mended",
        "Through one microphone the attack finds less than through two.",
        _audited("loss", "one_microphone"),
        _audited("loss", "two_microphones"),
        "below",
    ),
    Claim(
        "13.customers",
        "What tells customers by their embeddings was learnt: in an encoder that learnt nothing it is at chance.",
        _audited("speaker_similarity", "more_recordings_unexposed", "speaker"),
        0.5,
        "near",
        SMALL,
    ),
    Claim(
        "13.persons",
        "Asked about as many recordings of each person, an encoder tells whom it was trained on.",
        _audited(STRONGEST, "as_many_recordings", "speaker"),
        0.5,
    ),
    *FORGETTING,
    *OF_EXPOSURE,
]
"""All claims that are stated by name, in the order of the notebooks."""


def claim_of(id_: str, **corpora: str) -> Claim:
    """A claim by its name. corpora: which corpora `near` and `far` are. Raises UsageError for an unknown name."""
    for claim in CLAIMS:
        if claim.id == id_:
            return _on(claim, corpora) if corpora else claim
    raise UsageError(f"unknown claim {id_!r}: mia_lib/series/claims.py lists them")


def _on(claim: Claim, corpora: dict[str, str]) -> Claim:
    def on(side: Pick) -> Pick:
        return replace(side, corpus=corpora.get(side.corpus, side.corpus))

    other = on(claim.other) if isinstance(claim.other, Pick) else claim.other
    return replace(claim, one=on(claim.one), other=other)


def claims_of_defense(notebook: str, defense: str, of_paper: bool) -> list[Claim]:
    """What is claimed of a judged defense: that it protects against who knows it, and wholly; that it costs little; and,
    where the paper tried it, that its attack is at chance at the paper's own conditions. Of BASELINE nothing: it is luck."""
    if defense == BASELINE:
        return []
    after = Pick(f"{STRONGEST}_auc", STRONGEST, "utterance", defense, True)
    change = Pick(f"{STRONGEST}_auc_change", STRONGEST, "utterance", defense, True)
    cost = Pick("test_accuracy_change", protocol="", defense=defense)
    claims = [
        Claim(
            f"{notebook}.{defense}.protects",
            f"An attacker who knows `{defense}` finds less than without a defense.",
            change,
            0.0,
            "below",
        ),
        Claim(
            f"{notebook}.{defense}.hidden",
            f"An attacker who knows `{defense}` is at chance.",
            after,
            0.5,
            "near",
            SAME,
        ),
        Claim(
            f"{notebook}.{defense}.cheap",
            f"`{defense}` costs at most {100 * TOLERANCE:.0f} points of test accuracy.",
            cost,
            -TOLERANCE,
        ),
    ]
    if of_paper:
        hides = Pick("balanced_accuracy", PAPER, "paper", defense, False)
        question = f"By its threshold, the paper's attack as the paper ran it is at chance behind `{defense}`."
        claims.insert(0, Claim(f"{notebook}.{defense}.hides", question, hides, CLAIMED, "below"))
    return claims
