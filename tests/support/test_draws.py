"""Each purpose of a seed has a stream of its own."""

import ast
from pathlib import Path

import numpy as np
import pytest

import mia_lib
from mia_lib.support import draws

FILES = sorted(Path(mia_lib.__file__).parent.rglob("*.py"))
NAMED = {"generator": 1, "seeds": 1, "entropy": 1, "repeatable_draws": 2, "random": 0, "generators": 0}
"""Calls that name a purpose -> its place among the arguments."""


def purposes():
    """File and purpose of every call that names one in words, in the whole package; what is filled in later stays open."""
    for path in FILES:
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            for argument in call.args[NAMED.get(name, 9) :][:1]:
                parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
                if isinstance(parts[0], ast.Constant) and isinstance(parts[0].value, str):
                    yield path.name, parts[0].value


def test_no_two_places_draw_from_one_stream():
    named = [purpose for _, purpose in purposes()]
    assert len(named) > 30 and sorted(named) == sorted(set(named))
    streams = [tuple(draws.entropy(0, purpose)) for purpose in named]
    assert len(set(streams)) == len(streams)


def test_nothing_draws_without_naming_its_purpose():
    """Corpora name their streams by constants of their own, beside the speaker's number."""
    bare = [path.name for path in FILES if "corpora" not in path.parts and "default_rng(" in path.read_text()]
    assert bare == ["draws.py"]


@pytest.mark.parametrize("other", [(1, "a", 2), (0, "b", 2), (0, "a", 3), (0, "a")])
def test_seed_purpose_and_place_each_decide_the_stream(other):
    assert (draws.generator(0, "a", 2).random(4) != draws.generator(*other).random(4)).all()
    np.testing.assert_array_equal(draws.generator(0, "a", 2).random(4), draws.generator(0, "a", 2).random(4))


def test_more_seeds_begin_with_the_same_ones():
    assert (
        draws.seeds(3, "models", 5)[:2] == draws.seeds(3, "models", 2) and len(set(draws.seeds(3, "models", 50))) == 50
    )
