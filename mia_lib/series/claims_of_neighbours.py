"""What is claimed of attackers without the file, and of pruned and quantised models."""

from mia_lib.evaluation.claims import Claim, Pick
from mia_lib.evaluation.strongest import STRONGEST
from mia_lib.studies.compressed import CONDITION
from mia_lib.studies.versions import HOLDING

SMALL = 0.03


def _held(attack: str, version: str) -> Pick:
    """The AUC of an attack with a version of the file in hand."""
    return Pick("auc", attack, "utterance", condition=HOLDING + version)


def _strongest(measure: str, defense: str) -> Pick:
    """A measure of the strongest attack on compressed models."""
    return Pick(f"{STRONGEST}_{measure}", STRONGEST, "utterance", defense, True, condition=CONDITION)


def _accuracy(defense: str) -> Pick:
    """The test accuracy of compressed models."""
    return Pick("test_accuracy", protocol="", defense=defense, condition=CONDITION)


OF_NEIGHBOURS = [
    Claim(
        "06.file",
        "Through a telephone, offline LiRA is at chance.",
        _held("lira_offline", "telephone"),
        0.5,
        "near",
        SMALL,
    ),
    Claim(
        "06.range",
        "Through a telephone, the range attack has a higher AUC than LiRA, which asks once.",
        _held("ramia", "telephone"),
        _held("lira_offline", "telephone"),
    ),
    Claim(
        "06.range_all",
        "Who holds all of these versions has a higher AUC by the range attack than LiRA has with the MP3 alone.",
        _held("ramia", "all"),
        _held("lira_offline", "mp3"),
    ),
    Claim(
        "08.pruned",
        "A network of which 90 % of the weights are pruned leaks less than a whole one, whatever is left of its accuracy.",
        _strongest("auc_change", "pruning:0.9"),
        0.0,
        "below",
    ),
    Claim(
        "08.pruned_accuracy",
        "Among all speakers of the corpus, a network of which 90 % of the weights are pruned names as many test fragments "
        "rightly as a whole one.",
        _accuracy("pruning:0.9"),
        _accuracy("none"),
        "near",
        SMALL,
    ),
    Claim(
        "08.quantised",
        "Rounded to eight bits, a model leaks as much as before: that hides nothing.",
        _strongest("auc_change", "quantise:8"),
        0.0,
        "near",
        SMALL,
    ),
    Claim(
        "08.balanced",
        "Pruned and balanced, a model leaks less than one that is pruned only, whatever either costs in accuracy.",
        _strongest("auc", "pair_balancing:16"),
        _strongest("auc", "pruning:0.6"),
        "below",
    ),
]
