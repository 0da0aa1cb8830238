"""What the sentence on the paper's claim says of the number that decides it."""

import pytest
from test_verdicts import records

from mia_lib.evaluation import reproduction


@pytest.mark.parametrize(
    ("paper", "recall", "auc", "words"),
    [
        (0.50, 0.4, 0.5, "is at chance"),
        (0.56, 0.4, 0.5, "is above chance"),
        (0.25, 0.4, 0.5, "is above chance once it is turned round"),
        (0.54, 0.4, 0.5, "may lie on either side of the 0.53 that counts as chance"),
        (0.46, 0.4, 0.5, "may lie on either side of the 0.53 that counts as chance once it is turned round"),
        (0.50, 0.0, 0.6, "is a threshold that calls nobody a member, while its AUC is 0.600 [0.580, 0.620]"),
        (0.50, 1.0, 0.6, "is a threshold that calls everybody a member, while its AUC is 0.600 [0.580, 0.620]"),
        (0.50, 1.0, 0.525, "is at chance"),  # an AUC that small counts as chance as well
        (0.50, 1.0, 0.515, "is at chance"),
        (0.50, 0.4, 0.9, "is at chance"),
    ],
)
def test_a_balanced_accuracy_is_said_in_words_with_its_interval(paper, recall, auc, words):
    table = records("weight_decay:0.1", 0.95, paper, 0.9, 0.98, 0.96, recall=recall, paper_auc=auc)
    told = reproduction.sentence(table)
    assert told.endswith(f"balanced accuracy of {paper:.3f} [{paper - 0.02:.3f}, {paper + 0.02:.3f}] {words}")


def test_what_the_paper_did_not_try_is_said_so_beside_the_same_number():
    told = reproduction.sentence(records("dmp:2", 0.95, 0.56, 0.9, 0.98, 0.96))
    assert told.startswith("the paper did not try it; its attack's balanced accuracy of 0.560")
