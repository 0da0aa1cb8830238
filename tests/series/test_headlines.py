"""What the first page says was found is computed from the claims of the reference runs."""

import pandas as pd
import pytest

from mia_lib.series.headlines import BEGIN, END, MAIN, block, found_in, lines, renewed
from mia_lib.series.notebooks import NOTEBOOKS
from mia_lib.series.reference import REFERENCE


def claims():
    numbers = dict(one=0.9, one_low=0.8, one_high=0.95, other=0.5, other_low=0.5, other_high=0.5)
    numbers |= dict(difference=0.4, low=0.3, high=0.45, margin=0.0)
    rows = [("15.names", "Names leak.", "undecided"), ("00.paper", "It works.", "holds"), ("03.odd", "Odd.", "holds")]
    rows.append(("12.pgd:0.1.cheap", "`pgd:0.1` is cheap.", "does not hold"))
    return pd.DataFrame([numbers | dict(claim=c, question=q, outcome=o) for c, q, o in rows])


def test_main_claims_are_shown_in_order_with_outcome_and_interval():
    assert list(lines(claims())) == [
        "- It works. **Holds** (0.900 [0.800, 0.950] beside 0.5).",
        "- `pgd:0.1` is cheap. **Does not hold** (0.900 [0.800, 0.950] beside 0.5).",
        "- Names leak. **Undecided** (0.900 [0.800, 0.950] beside 0.5).",
    ]


def test_what_was_not_measured_has_no_number():
    table = claims().assign(one=float("nan"))
    assert next(iter(lines(table))) == "- It works. **Holds** (not measured)."


def test_only_the_block_of_a_page_is_renewed():
    page = f"before\n{BEGIN}old\n{END}after\n"
    new = block([("a", claims())])
    assert (
        "On `a`, where the rule of notebook 12 recommends the defense `pgd:0.1` (3 of the 4 claims of the run):" in new
    )
    assert "recommends" not in block([("a", claims()[:2])])
    assert renewed(page, new) == f"before\n{new}after\n" and renewed("no block", new) == "no block"


def test_the_first_page_says_what_the_reference_found():
    if not REFERENCE.is_dir():
        pytest.skip("no reference was made")
    assert found_in(REFERENCE) in (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")


def test_main_claims_are_claims_of_the_series():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (NOTEBOOKS.parent / "mia_lib").rglob("claims*.py"))
    assert all(f'"{name}"' in source for name in MAIN)
