"""What the tests of the series share."""

import pytest
from series.fakes import Series


@pytest.fixture
def series(tmp_path, monkeypatch):
    """Notebooks of a series, one after the other."""
    monkeypatch.setenv("MIA_CORES", "1")
    return Series(tmp_path)
