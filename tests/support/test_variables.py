"""Environment variables that hold for the length of a block."""

import os

import pytest

from mia_lib.support.variables import variable


@pytest.mark.parametrize("before", [None, "7"])
def test_a_variable_is_afterwards_as_it_was_before_also_where_the_block_fails(monkeypatch, before):
    monkeypatch.delenv("MIA_CORES", raising=False) if before is None else monkeypatch.setenv("MIA_CORES", before)
    with pytest.raises(ValueError, match="no"), variable("MIA_CORES", "1"):
        assert os.environ["MIA_CORES"] == "1"
        raise ValueError("no")
    assert os.environ.get("MIA_CORES") == before
