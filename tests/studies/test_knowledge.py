"""Every study shows an attack what `KNOWLEDGE` says of the protocol, of the attacker's own models and of the target."""

import numpy as np
import pytest
from attacks.null_world import NOISE, World, persons, references, shadows

from mia_lib.fragments.splits import KNOWLEDGE, POPULATION
from mia_lib.studies.study import Question

WORLD = World(0, "none", NOISE)
ASKED = [(shadows, Question(attack, protocol)) for protocol in KNOWLEDGE for attack in ("loss", "label_only")]
ASKED += [(persons, Question("speaker_level", "speaker", 1))]
ASKED += [(references, Question(attack)) for attack in ("loss", "label_only", "white_box")]


@pytest.fixture(params=ASKED, ids=lambda asked: f"{asked[0].__name__} {asked[1].protocol} {asked[1].attack}")
def shown(request):
    """The study, what is known of the protocol, the models that are known, their signals and the target's, and which
    fragments these are of."""
    made, question = request.param[0](WORLD), request.param[1]
    (target,), every = made.targets(), np.arange(len(made.manifest))
    models = made.teachers(target, False, None)
    signals = made.known(question, target, models), made.victim(question, target, False, models)
    rows = every
    if request.param[0] is not persons:
        rows = made.seen(question.needs)[2] if request.param[0] is references else made.fragments_for(question.needs)
    return made, KNOWLEDGE[question.protocol], models, *signals, rows


def test_classes_are_shown_where_they_do_not_tell_who_is_a_stranger(shown):
    _, knowledge, _, known, victim, _ = shown
    for signals in (known, victim.signals):
        assert (signals.labels >= 0).any() == knowledge.classes
        assert signals.internals is None or knowledge.classes


def test_of_the_attackers_own_models_both_sides_are_known(shown):
    made, knowledge, models, known, _, rows = shown
    in_use = known.member[(known.member >= 0).any(1)]
    for k, member in zip(models, in_use, strict=True):
        role = made.splits[k].role[rows[member >= 0]]
        assert set(role) == {knowledge.members, knowledge.non_members}
        np.testing.assert_array_equal(role == knowledge.members, member[member >= 0] == 1)


def test_a_target_is_audited_on_both_sides_and_its_own_is_known_of_none(shown):
    made, knowledge, models, _, victim, rows = shown
    (target,) = made.targets()
    assert target not in models
    role = made.splits[target].role[victim.rows]
    assert set(role) == {knowledge.members, knowledge.non_members}
    np.testing.assert_array_equal(role == knowledge.members, victim.member)
    np.testing.assert_array_equal(rows[victim.columns], victim.rows)


def test_the_population_is_known_where_there_is_one(shown):
    made, _, _, known, victim, rows = shown
    for signals in (known, victim.signals):
        population = np.zeros(len(rows), bool) if signals.population is None else signals.population
        np.testing.assert_array_equal(population, made.splits[0].role[rows] == POPULATION)
