"""Settings that cannot work together, found before anything is computed: what a network needs of a fragment's length."""

from bisect import bisect_left
from dataclasses import replace

import torch

from mia_lib.corpora.audio import SAMPLE_RATE
from mia_lib.features import FEATURES
from mia_lib.features.named import make_feature
from mia_lib.models import MODELS
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.settings import Settings

DECIDED_BY = ("fragment_seconds", "hop", "feature", "model")
"""The settings that say whether fragments and network go together; every profile's own do."""
LONGEST = 20  # seconds; looked for no further


def check_lengths(settings: Settings) -> None:
    """Raise UsageError, with the smallest fragment_seconds that works, if the network cannot take such fragments."""
    if _fits(settings):
        return
    tenths = range(1, 10 * LONGEST + 1)
    least = bisect_left(tenths, True, key=lambda t: _fits(replace(settings, fragment_seconds=t / 10)))
    if least == len(tenths) and (others := _readable(settings)):
        raise UsageError(
            f"the model {settings.model!r} cannot read the feature {settings.feature!r}: use feature={' or '.join(others)}"
        )
    found = least < len(tenths)
    way = f"{tenths[least] / 10:g} is the smallest that works" if found else "use a smaller hop or another model"
    raise UsageError(
        f"fragment_seconds={settings.fragment_seconds:g} is too short for the model {settings.model!r} on the feature "
        f"{settings.feature!r} with hop={settings.hop}: {way}"
    )


def _readable(settings: Settings) -> list[str]:
    """The features that the model can read instead."""
    return [name for name in FEATURES.names() if _fits(replace(settings, feature=name))]


def _fits(settings: Settings) -> bool:
    waves = torch.zeros(1, round(settings.fragment_seconds * SAMPLE_RATE))
    try:
        frames, bins = make_feature(settings.feature, settings.hop, SAMPLE_RATE)(waves).shape[1:]
        MODELS.get(settings.model)(frames, bins, [2])
    except (MiaError, RuntimeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        return False
    return True
