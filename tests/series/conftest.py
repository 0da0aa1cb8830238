"""What the tests of the series share."""

import pytest
from series.fakes import Series


@pytest.fixture
def series(tmp_path):
    return Series(tmp_path)
