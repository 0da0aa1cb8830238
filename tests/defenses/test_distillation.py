"""Defenses by distillation: losses by hand, who may answer what, stacks, kills between the stages, and a real effect.

The toy corpus: each speaker has a mean of their own, each source recording an offset and noise that its fragments share
(the fragments of one source are near copies, as overlapping ones are).
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mia_lib.defenses.base import Defense, make_defense
from mia_lib.defenses.distillation import Distillation, HotCrossEntropy
from mia_lib.defenses.dmp import DMP
from mia_lib.defenses.selena import Selena, left_out
from mia_lib.signals.query import query_models
from mia_lib.signals.statistics import statistics
from mia_lib.support.device import CHUNK_VALUES
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.training import teaching
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.lesson import teacher_seeds
from mia_lib.training.objective import Objective, cross_entropy
from mia_lib.training.recipe import train_defended
from mia_lib.training.teaching import SoftLabels, ask, distillation_loss, mean_posteriors
from mia_lib.training.trained import TrainedModels

NAMES = ("distillation", "dmp", "selena")
SPEAKERS, SOURCES, CUTS, FRAMES, BINS = 5, 12, 2, 64, 4


def toy(seed=0, models=3, epochs=20, apart=1.0, dtype=torch.float32, **options):
    """A job on the toy corpus: a third of each speaker's sources to train on, a third for reference, a third held out."""
    rng = np.random.default_rng(seed)
    voice = apart * rng.standard_normal((SPEAKERS, 1, 1, 1, BINS))
    channel = 0.5 * rng.standard_normal((SPEAKERS, SOURCES, 1, 1, BINS))
    words = rng.standard_normal((SPEAKERS, SOURCES, 1, FRAMES, BINS))
    rest = 0.1 * rng.standard_normal((SPEAKERS, SOURCES, CUTS, FRAMES, BINS))
    features = torch.from_numpy((voice + channel + words + rest).reshape(-1, FRAMES, BINS)).to(dtype)
    labels = np.tile(np.repeat(np.arange(SPEAKERS), SOURCES * CUTS), (models, 1))
    groups = np.repeat(np.arange(SPEAKERS * SOURCES), CUTS)
    sides = []
    for k in range(models):
        rng = np.random.default_rng([seed, k])
        part = 3 * np.stack([rng.permutation(SOURCES) for _ in range(SPEAKERS)]).ravel()[groups] // SOURCES
        sides.append([np.flatnonzero(part == side) for side in range(3)])
    train, reference, held_out = (list(side) for side in zip(*sides, strict=True))
    seeds = [100 * seed + k for k in range(models)]
    parts = dict(test=held_out, reference=reference, groups=groups, dtype=dtype) | options
    return Job(features, labels, train, TrainingConfig(epochs=epochs, batch_size=8), seeds, **parts)


def tiny(**options):
    """Three models in float64 for a few steps, the second of which does not know the last two speakers."""
    job = toy(epochs=2, dtype=torch.float64)
    labels = job.labels.copy()
    labels[1][labels[1] > 2] = -1
    known = {
        name: [own[row[own] >= 0] for own, row in zip(getattr(job, name), labels, strict=True)]
        for name in ("train", "reference", "test")
    }
    return replace(job, labels=labels, **known | options)


def alone(job, k):
    """The job of one model of a stack."""
    epochs = job.config.epochs
    config = replace(job.config, epochs=epochs if isinstance(epochs, int) else epochs[k])
    parts = {name: getattr(job, name)[k : k + 1] for name in ("labels", "train", "seeds", "test", "reference")}
    return replace(job, config=config, **parts)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def answers_of_label(logits):
    """An objective's network that says `logits`, whatever it is shown."""
    return lambda features: logits


def batch(indices, models):
    return Batch(indices, torch.zeros(models), torch.zeros(models), 0, list(range(models)))


def test_the_loss_by_hand():
    logits = tensor([0.0, 2 * np.log(3)])[None]  # at T = 2 the posteriors (1/4, 3/4)
    answers = tensor([0.5, 0.5])[None]
    expected = 4 * 0.5 * (np.log(0.5 / 0.25) + np.log(0.5 / 0.75))
    assert distillation_loss(logits, answers, tensor(2.0)).item() == pytest.approx(expected)


def test_a_one_hot_teacher_at_temperature_one_gives_cross_entropy():
    logits = torch.randn(2, 5, 4, dtype=torch.float64).requires_grad_()
    masked = logits.masked_fill(torch.tensor([False, False, False, True]), -torch.inf)  # a class the models do not have
    labels = torch.tensor([[0, 1, 2, 1, 0], [2, 2, 1, 0, 1]])
    ours = distillation_loss(masked, torch.nn.functional.one_hot(labels, 4).double(), torch.ones(2).double())
    theirs = cross_entropy(masked, labels)
    torch.testing.assert_close(ours, theirs)
    slopes = [torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*slopes)


def test_a_student_that_answers_as_its_teacher_is_left_as_it_is():
    logits = torch.randn(1, 3, 4, dtype=torch.float64).requires_grad_()
    loss = distillation_loss(logits, torch.softmax(logits.detach() / 3, -1), tensor(3.0))
    loss.sum().backward()
    assert loss.abs().max() < 1e-12 and logits.grad.abs().max() < 1e-12


def test_a_teacher_learns_at_its_own_temperature():
    logits = tensor([[0.0, 2 * np.log(3)]], [[0.0, 4 * np.log(3)]])
    labels = torch.ones(2, 1, dtype=torch.int64)
    losses, _ = HotCrossEntropy(tensor(2.0, 4.0)).losses(answers_of_label(logits), None, labels, None)
    np.testing.assert_allclose(losses, np.log(4 / 3))


def test_the_mean_of_the_teachers_that_are_heard_by_hand():
    logits = torch.log(tensor([[[0.2, 0.8]], [[0.6, 0.4]], [[0.5, 0.5]]]))[None].squeeze(1)
    heard = torch.tensor([[[True], [True], [False]]])
    np.testing.assert_allclose(mean_posteriors(logits, heard, tensor(1.0))[0], [[0.4, 0.6]])
    softer = mean_posteriors(logits, heard, tensor(2.0))[0, 0, 1]
    assert softer.item() == pytest.approx((2 / 3 + np.sqrt(0.4) / (np.sqrt(0.4) + np.sqrt(0.6))) / 2)


def test_answers_are_those_of_the_models_own_teachers_to_its_own_fragments(monkeypatch):
    job = tiny()
    twice = {name: [own for own in getattr(job, name) for _ in range(2)] for name in ("train", "test")}
    twice |= dict(labels=job.labels.repeat(2, 0), seeds=range(6), reference=None)
    network = train_defended(Defense(), replace(job, **twice)).network
    heard = torch.from_numpy(np.random.default_rng(0).random((3, 2, len(job.features))) < 0.5)
    heard[:, 0] |= ~heard.any(1)
    temperature = tensor(1.0, 2.0, 3.0)
    monkeypatch.setitem(CHUNK_VALUES, "cpu", 6 * FRAMES * BINS * 7)  # several chunks, the last one smaller
    answers = ask(network, job.features, job.train, temperature, heard)
    logits = network(job.features)
    for k, own in enumerate(job.train):
        p = torch.softmax(logits[2 * k : 2 * k + 2][:, own] / temperature[k], -1)
        weights = heard[k][:, own].double()
        torch.testing.assert_close(answers[k, : len(own)], (p * weights[..., None]).sum(0) / weights.sum(0)[:, None])


def test_students_learn_the_answer_to_each_fragment_and_no_label():
    fragments = [np.array([4, 1]), np.array([0, 3, 2])]
    answers = torch.softmax(torch.randn(2, 3, 3, dtype=torch.float64), -1)
    objective, logits = SoftLabels(answers, fragments, torch.ones(2).double()), torch.randn(2, 2, 3).double()
    objective.begin(SimpleNamespace(features=torch.zeros(5, 1, 1)), None)
    asked = torch.tensor([[1, 4], [2, 3]])
    found, _ = objective.losses(answers_of_label(logits), None, None, batch(asked, 2))
    wanted = torch.stack([answers[0, [1, 0]], answers[1, [2, 1]]])
    torch.testing.assert_close(found, distillation_loss(logits, wanted, torch.ones(2).double()).mean(1))


def fixed_answers(monkeypatch):
    """Hold the teachers' answers fixed at something that depends on the fragment only."""

    def answer(network, features, fragments, temperature, heard):
        numbers = torch.from_numpy(np.stack([np.resize(own, max(map(len, fragments))) for own in fragments]))
        return torch.softmax(torch.sin(numbers[..., None] * torch.arange(1.0, SPEAKERS + 1)).to(temperature), -1)

    monkeypatch.setattr(teaching, "ask", answer)


def test_a_dmp_student_depends_on_members_through_the_teachers_answers_only(monkeypatch):
    fixed_answers(monkeypatch)
    job = toy(models=1, epochs=2)
    changed = {}
    for side in ("train", "reference"):
        features = job.features.clone()
        features[getattr(job, side)[0]] *= -3
        changed[side] = train_defended(DMP(), replace(job, features=features)).network.state_dict()
    strangers = job.labels.copy()
    strangers[0, job.reference[0]] = 0  # reference fragments are unlabelled data
    unlabelled = train_defended(DMP(), replace(job, labels=strangers)).network.state_dict()
    for name, weights in train_defended(DMP(), job).network.state_dict().items():
        torch.testing.assert_close(changed["train"][name], weights, rtol=0, atol=0)
        torch.testing.assert_close(unlabelled[name], weights, rtol=0, atol=0)
    assert (changed["reference"]["hidden.weight"] - train_defended(DMP(), job).network.hidden.weight).abs().max() > 1e-3


def test_students_and_sub_models_do_as_many_steps_as_the_undefended_model():
    job = replace(toy(), config=TrainingConfig(epochs=(3, 5, 8), batch_size=8))
    few = replace(job, reference=[own[:7] for own in job.reference])
    altered = replace(few, alterations=(lambda network, features, batch: features,))
    cases = ((DMP().students(few), 1, 1), (DMP().students(altered), 1, 2), (Selena(4).teachers(job), 4, 1))
    for other, repeated, times in cases:  # what is altered is heard twice as often
        steps = np.repeat([times * e * len(own) for e, own in zip(job.config.epochs, job.train, strict=True)], repeated)
        ours = [e * len(own) for e, own in zip(other.config.epochs, other.train, strict=True)]
        extra = np.array(ours) - steps
        assert (extra >= 0).all() and (extra < [len(own) for own in other.train]).all()


@property_settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), min_size=1, max_size=6), st.integers(2, 12), st.data())
def test_exactly_the_same_sub_models_lack_all_fragments_of_a_source(speakers, submodels, data):
    out = data.draw(st.integers(1, submodels - 1))
    sources = sum(count for count, _ in speakers)
    classes = np.concatenate([np.full(count * cuts, c) for c, (count, cuts) in enumerate(speakers)])
    groups = np.concatenate([np.repeat(np.arange(count), cuts) for count, cuts in speakers]) + 100 * classes
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(groups))
    groups, classes = groups[order], classes[order]
    plan = left_out(groups, classes, submodels, out, seed=3)
    assert (plan.sum(1) == out).all() and len(np.unique(groups)) == sources
    for group in np.unique(groups):
        assert (plan[groups == group] == plan[groups == group][0]).all()
    for c, (count, _) in enumerate(speakers):
        _, first = np.unique(groups[classes == c], return_index=True)
        lacking = plan[classes == c][first].sum(0)
        assert lacking.max() - lacking.min() <= 1 and lacking.sum() == count * out


def exposed(job, defense):
    """Share of the members that are answered by a sub-model which trained on their source."""
    teachers = defense.teachers(job)
    heard = defense.heard(job, teachers)
    sources = toy().groups
    shares = []
    for k, own in enumerate(job.train):
        trained = np.stack([np.isin(sources, sources[t]) for t in teachers.train[k * 4 : k * 4 + 4]])
        shares.append((trained & heard[k])[:, own].any(0).mean())
    return np.array(shares)


def test_no_member_is_answered_by_a_sub_model_that_trained_on_its_source():
    job = toy()
    assert (exposed(job, Selena(4)) == 0).all()
    assert (exposed(replace(job, groups=None), Selena(4)) > 0.3).all()  # fragment by fragment, near copies give it away


def test_every_teacher_has_a_seed_of_its_own_that_follows_from_its_models():
    assert len(set(teacher_seeds(range(50), 6)) | set(range(50))) == 350
    assert teacher_seeds([3, 4], 6)[6:] == teacher_seeds([4], 6)


@pytest.mark.parametrize("defense, strengths", [(Distillation, [2.0, 1.0, 7.0]), (DMP, [1.0, 5.0, 2.0]), (Selena, 4)])
def test_each_model_of_a_stack_ends_where_it_ends_alone(defense, strengths):
    job = tiny()
    stack = train_defended(defense(strengths), job).network.state_dict()
    for k in range(3):
        own = strengths[k] if isinstance(strengths, list) else strengths
        for name, value in train_defended(defense(own), alone(job, k)).network.state_dict().items():
            together = stack[name][k : k + 1]
            if value.shape != together.shape:  # the last layer, padded to the largest number of classes
                together = together[..., : value.shape[-1]]
            torch.testing.assert_close(together, value, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_killed_between_the_stages_goes_on_with_the_students(name, tmp_path, monkeypatch):
    job, trained = tiny(), []
    whole = train_defended(make_defense(name), job).network.state_dict()
    kept = replace(job, checkpoint=tmp_path / "checkpoint.safetensors")

    def watched(job, objective, train=teaching.train_job):
        trained.append(type(objective).__name__)
        if isinstance(objective, SoftLabels) and len(trained) == 2:
            raise KeyboardInterrupt
        return train(job, objective)

    monkeypatch.setattr(teaching, "train_job", watched)
    with pytest.raises(KeyboardInterrupt):
        train_defended(make_defense(name), kept)
    resumed = train_defended(make_defense(name), kept)
    assert trained[1:] == ["SoftLabels", "SoftLabels"]
    for weights, value in whole.items():
        torch.testing.assert_close(resumed.network.state_dict()[weights], value, rtol=1e-9, atol=1e-11)
    (teachers,) = tmp_path.glob("teachers-*/models.safetensors")
    teachers.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="damaged"):
        train_defended(make_defense(name), kept)
    assert trained[3:] == [trained[0], "SoftLabels"]


def test_a_teacher_killed_in_training_resumes_from_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr("mia_lib.training.train.CHECKPOINT_SECONDS", 0.0)
    job = tiny(config=TrainingConfig(epochs=4, batch_size=8), checkpoint=tmp_path / "checkpoint.safetensors")
    steps = []

    class Watched(HotCrossEntropy):
        def losses(self, network, features, labels, batch):
            if batch.step == 15 and not any(step > 15 for step in steps):
                steps.append(99)
                raise KeyboardInterrupt
            steps.append(batch.step)
            return super().losses(network, features, labels, batch)

    monkeypatch.setattr("mia_lib.defenses.distillation.HotCrossEntropy", Watched)
    with pytest.raises(KeyboardInterrupt):
        train_defended(Distillation(), job)
    resumed = train_defended(Distillation(), job)
    assert steps[steps.index(99) + 1] > 0
    monkeypatch.undo()
    whole = train_defended(Distillation(), replace(job, checkpoint=None))
    torch.testing.assert_close(resumed.network.hidden.weight, whole.network.hidden.weight, rtol=1e-6, atol=1e-8)


def test_a_student_counts_its_teachers_training_time(monkeypatch):
    job = toy(models=1, epochs=1)

    def timed(job, objective, train=teaching.train_job):
        models = train(job, objective)
        return TrainedModels(
            models.network, models.config, models.history, 2.0 if type(objective) is Objective else 3.0
        )

    monkeypatch.setattr(teaching, "train_job", timed)
    assert train_defended(DMP(), job).seconds == 5.0


@pytest.fixture(scope="module")
def toys():
    """Three toy corpora, and what undefended and defended models say on them: posteriors of the truth, phi, correct."""
    jobs = [toy(seed) for seed in range(3)]
    told = {}
    for name in ("none", "distillation:5", "dmp", "selena:4"):
        defense = make_defense(name)
        logits = [query_models(train_defended(defense, job).network, job.features) for job in jobs]
        told[name] = [statistics(z, job.labels) for z, job in zip(logits, jobs, strict=True)]
    return jobs, told


def gaps(toys, name, first="train", second="test"):
    """Per corpus, the confidence in the truth on one side minus that on another, averaged over its models."""
    jobs, told = toys
    found = []
    for job, s in zip(jobs, told[name], strict=True):
        sides = [np.mean([np.exp(-row[own]).mean() for row, own in zip(s.loss, getattr(job, side), strict=True)])
                 for side in (first, second)]  # fmt: skip
        found.append(sides[0] - sides[1])
    return np.array(found)


@pytest.mark.parametrize("name", ["dmp", "selena:4"])
def test_the_confidence_gap_between_members_and_held_out_closes(toys, name):
    before, after = gaps(toys, "none"), gaps(toys, name)
    assert before.min() > 0.2 and (np.abs(after) < before / 2).all()


def test_there_was_no_gap_where_nobody_is_a_member(toys):
    for name in ("none", "distillation:5", "selena:4"):
        assert gaps(toys, name, "reference", "test").mean() == pytest.approx(0, abs=0.06)


def test_a_dmp_student_knows_its_reference_fragments_better_and_they_must_not_be_audited(toys):
    assert gaps(toys, "dmp", "reference", "test").min() > 0.05


def test_distillation_on_the_members_themselves_keeps_them_exposed(toys):
    jobs, told = toys
    for job, s in zip(jobs, told["distillation:5"], strict=True):
        for phi, members, others in zip(s.phi, job.train, job.test, strict=True):
            truth = np.repeat([1, 0], [len(members), len(others)])
            assert roc_auc_score(truth, phi[np.concatenate([members, others])]) > 0.7


def test_students_still_know_their_speakers(toys):
    jobs, told = toys
    for name in ("distillation:5", "dmp", "selena:4"):
        right = [row[own].mean() for job, s in zip(jobs, told[name], strict=True)
                 for row, own in zip(s.correct, job.test, strict=True)]  # fmt: skip
        assert np.mean(right) > 2.5 / SPEAKERS


@pytest.mark.parametrize("name", ["distillation:0", "dmp:-1", "dmp:nan", "distillation:inf",
                                  "selena:1", "selena:2.5", "selena:nan", "selena:-4", "selena:inf", "dmp:warm"])  # fmt: skip
def test_strengths_without_a_meaning_are_refused(name):
    with pytest.raises(UsageError, match=r"must be a (whole )?number"):
        make_defense(name)


def test_temperatures_must_be_one_or_one_for_each_model():
    with pytest.raises(UsageError, match="3 models need one strength, or one each, not 2"):
        train_defended(Distillation([1.0, 2.0]), tiny())
    with pytest.raises(UsageError, match="sub-models"):
        Selena([4, 6])


def test_dmp_without_reference_fragments_says_so_in_one_sentence():
    with pytest.raises(MiaError, match="needs reference fragments"):
        train_defended(DMP(), tiny(reference=None))


@pytest.mark.parametrize("seed", range(8))
def test_every_sub_model_has_fragments_where_each_speaker_has_one(seed):
    one_each = np.arange(8)
    plan = left_out(one_each, one_each, 4, 2, seed)
    assert (plan.sum(1) == 2).all() and (~plan).sum(0).min() >= 2
