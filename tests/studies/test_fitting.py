"""Settings that cannot work together are refused before anything is computed."""

import pytest

from mia_lib.series.request import Request, check
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.fitting import check_lengths
from mia_lib.support.errors import UsageError
from mia_lib.support.settings import Settings, resolve


def test_fragments_too_short_for_the_network_are_refused_with_the_smallest_that_work():
    with pytest.raises(UsageError, match=r"fragment_seconds=2 .*'paper_mfcc'.* 2\.1 is the smallest that works"):
        check_lengths(Settings(fragment_seconds=2.0))
    check_lengths(Settings(fragment_seconds=2.1))


@pytest.mark.parametrize("settings", [{"fragment_seconds": 1.0}, {"hop": 2048}])
def test_a_request_and_a_dataset_refuse_them_before_they_read_anything(tmp_path, settings):
    with pytest.raises(UsageError, match="smallest that works"):
        check(Request(settings=settings, outputs=str(tmp_path)))
    with pytest.raises(UsageError, match="smallest that works"):
        Dataset(settings=settings, outputs=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("profile", ["smoke", "standard", "paper"])
def test_every_profile_works(profile):
    check_lengths(resolve(profile))
