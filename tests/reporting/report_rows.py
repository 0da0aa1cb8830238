"""Typed rows of results, one at a time, for tests of the report."""

from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import IDENTITY, Result, results_table


def row(measure, value, low=None, high=None, attack="none", protocol="", corpus="demo", n=2400, **circumstances):
    """One record of an undefended model as a dictionary; without low and high it has no interval."""
    identity = dict(zip(IDENTITY, [corpus, "standard", 0, protocol, "none", attack, False], strict=True))
    result = Result(measure, Measure(value, low, high, n), **circumstances)
    return results_table(identity, [result]).iloc[0].to_dict()
