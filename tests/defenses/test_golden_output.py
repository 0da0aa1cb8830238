"""Equality of output defenses with the published implementations' numbers, where their folder is at hand (MIA_GOLDEN)."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mia_lib.defenses.hamp_output import rearranged
from mia_lib.defenses.memguard import MembershipClassifier, classify, descent, release_probability, search
from mia_lib.defenses.rank_reciprocal import by_rank
from mia_lib.defenses.rounding import rounded
from mia_lib.defenses.top_k import renormalised, zeroed
from mia_lib.signals.statistics import log_posteriors

FOLDER = Path(os.environ.get("MIA_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden"))
CLOSE = dict(atol=1e-11, rtol=1e-9)
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no golden vectors here: MIA_GOLDEN names their folder")


def load(name):
    return np.load(FOLDER / f"{name}.npz", allow_pickle=False)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_truncation_is_the_references(k):
    golden = load("posteriors")
    p, clear = golden["posteriors"], ~golden[f"top{k}_tie_at_cut"]
    for function, name in ((zeroed, "zeroed"), (renormalised, "renormalised")):
        ours, theirs = function(p, k), golden[f"top{k}_{name}"]
        np.testing.assert_allclose(ours[clear], theirs[clear], **CLOSE)
        np.testing.assert_allclose(np.sort(ours, -1), np.sort(theirs, -1), **CLOSE)
    apart = ~golden[f"top{k}_tie_inside"]
    assert apart.sum() > 50
    np.testing.assert_allclose(by_rank(p, k)[apart], golden[f"top{k}_rank_reciprocal"][apart], **CLOSE)


@pytest.mark.parametrize("decimals", [1, 2, 3, 4])
def test_rounding_is_the_references(decimals):
    golden = load("posteriors")
    np.testing.assert_array_equal(rounded(golden["posteriors"], decimals), golden[f"rounded_{decimals}"])


def test_hamps_rearrangement_is_the_references():
    golden = load("hamp")
    ours, ties = rearranged(golden["random_logits"], golden["logits"]), golden["row_has_ties"]
    np.testing.assert_array_equal(ours[~ties], golden["rearranged"][~ties])
    np.testing.assert_array_equal(np.sort(ours, -1), np.sort(golden["rearranged"], -1))
    np.testing.assert_allclose(np.exp(log_posteriors(ours))[~ties], golden["rearranged_posteriors"][~ties], **CLOSE)


@pytest.fixture(scope="module")
def memguard():
    return load("memguard")


@pytest.fixture(scope="module")
def classifier(memguard):
    g = MembershipClassifier(1, 30, (32, 16, 8)).requires_grad_(False)
    for i, layer in enumerate(g.layers):
        layer.weight.copy_(torch.from_numpy(memguard[f"defence_w{i}"])[None])
        layer.bias.copy_(torch.from_numpy(memguard[f"defence_b{i}"])[None, None])
    return g


def test_memguards_objective_has_the_references_terms_and_gradient(memguard, classifier):
    x, p0, c3 = (torch.from_numpy(memguard[f"objective_{n}"])[None] for n in ("logits", "original_posteriors", "c3"))
    p = torch.softmax(x, -1)
    v, slope = classify(classifier, p, resort=False)
    np.testing.assert_allclose(v.abs()[0], memguard["objective_terms"][:, 0], atol=1e-9)
    np.testing.assert_allclose(descent(x, p, p0, c3, v, slope)[0], memguard["objective_gradient"], atol=1e-9)


@pytest.mark.parametrize("largest, name", [(1e5, "noisy_posteriors"), (0.1, "first_round_posteriors")])
def test_memguards_search_ends_where_the_references_ends(memguard, classifier, largest, name):
    order = np.argsort(memguard["logits"], -1)
    x = torch.from_numpy(np.take_along_axis(memguard["logits"], order, -1))[None]
    found, rounds = search(classifier, x, resort=False, largest_c3=largest)
    p = np.empty(order.shape)
    np.put_along_axis(p, order, torch.softmax(found, -1)[0].numpy(), -1)
    stable = memguard["stable"]
    np.testing.assert_allclose(p[stable], memguard[name][stable], atol=1e-6)
    if largest == 1e5:
        np.testing.assert_array_equal(rounds[0], memguard["successful_rounds"])
        np.testing.assert_allclose(np.abs(p - memguard["posteriors"]).sum(-1), memguard["noise_l1"], atol=1e-6)


def test_memguards_release_probability_is_the_references(memguard):
    before, after, noise = (memguard[n] for n in ("g_before", "g_after", "noise_l1"))
    for budget, expected in zip(memguard["budgets"], memguard["release_probability"], strict=True):
        np.testing.assert_allclose(release_probability(before, after, noise, budget), expected, **CLOSE)


def test_sorting_again_within_the_search_turns_the_classifier_where_the_references_search_rarely_does(
    memguard, classifier
):
    x = torch.from_numpy(np.sort(memguard["logits"], -1))[None]
    turned = {}
    for resort in (False, True):
        p = torch.softmax(search(classifier, x, resort)[0], -1)
        v = classify(classifier, p, resort=True)[0][0].numpy()
        turned[resort] = int(((v > 0) != (memguard["g_before"] > 0.5)).sum())
    assert turned[False] == 2 and turned[True] == 32
