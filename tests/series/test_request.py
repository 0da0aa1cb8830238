"""A request is refused before anything starts if it cannot work."""

import dataclasses

import pytest

from mia_lib.attacks import ATTACKS
from mia_lib.series.request import PARAMETERS, RANDOM_STATES, Request, check, check_values, largest_seed
from mia_lib.support.errors import UsageError
from mia_lib.support.settings import resolve


def test_the_parameters_are_those_of_a_request():
    assert list(PARAMETERS) == [one.name for one in dataclasses.fields(Request)]
    assert {"seed": int, "max_bad": float, "settings": dict, "corpus": str}.items() <= PARAMETERS.items()


@pytest.mark.parametrize("settings", [{}, {"repeats": 500}, {"n_references": 3000}, {"defense_references": 999}])
def test_the_largest_seed_works_for_every_model_and_the_next_does_not(settings):
    s = resolve("standard", "demo", settings)
    models = max(s.repeats * (1 + s.n_shadows), s.n_references + 1, s.defense_references + 1)
    largest = largest_seed(s)
    assert largest * 1000 + models - 1 < RANDOM_STATES <= (largest + 1) * 1000 + models - 1
    assert check_values(Request(seed=largest, settings=settings)) == s
    with pytest.raises(UsageError, match=f"the seed must be from 0 to {largest}, not {largest + 1}"):
        check_values(Request(seed=largest + 1, settings=settings))


def test_the_attack_that_sets_the_limit_takes_the_largest_seed():
    assert ATTACKS.get("top3_network")(seed=RANDOM_STATES - 1).network.random_state < RANDOM_STATES


@pytest.mark.parametrize(
    "parameters",
    [{"seed": True}, {"seed": "0"}, {"max_bad": "many"}, {"corpus": None}, {"settings": []}, {"max_bad": 1.5}],
    ids=str,
)
def test_values_of_another_type_or_out_of_range_are_refused(parameters):
    with pytest.raises(UsageError):
        check_values(Request(**parameters))


def test_whole_numbers_are_shares_as_well():
    check_values(Request(max_bad=0))


def test_a_checked_request_can_be_checked_again(tmp_path):
    once, settings = check(Request(outputs=str(tmp_path), settings={"epochs": "3"}))
    assert once.settings == {"epochs": 3} and settings.epochs == 3 and once.run_id.startswith("demo-standard-s0-")
    assert check(once) == (once, settings)


def test_a_study_is_made_with_all_but_the_name_of_the_run():
    assert set(PARAMETERS) - set(Request().dataset()) == {"run_id"}
