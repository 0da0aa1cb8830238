"""Settings are refused with the name and what would be right, before anything runs."""

import pytest

from mia_lib.support.errors import UsageError
from mia_lib.support.settings import PROFILES, Settings, resolve


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_valid_and_smoke_is_the_smallest(profile):
    settings = resolve(profile)
    assert settings.epochs >= resolve("smoke").epochs and settings.n_shadows >= 1


def test_text_from_the_command_line_takes_the_type_of_the_setting():
    settings = resolve(overrides={"epochs": "7", "learning_rate": "1e-4", "model": "xvector"})
    assert (settings.epochs, settings.learning_rate, settings.model) == (7, 1e-4, "xvector")
    assert resolve(overrides={"fragment_seconds": 3}).fragment_seconds == 3.0


@pytest.mark.parametrize(
    "profile, overrides, says",
    [
        ("huge", {}, "unknown profile 'huge': choose one of smoke, standard, paper"),
        ("smoke", {"epoch": 3}, "unknown parameter 'epoch'"),
        ("smoke", {"epochs": "many"}, "'epochs' must be of type int, not 'many'"),
        ("smoke", {"epochs": 2.5}, "'epochs' must be of type int"),
        ("smoke", {"epochs": True}, "'epochs' must be of type int"),
        ("smoke", {"epochs": 0}, "'epochs' must be at least 1"),
        ("smoke", {"learning_rate": "nan"}, "'learning_rate' must be at least"),
        ("smoke", {"fragment_seconds": "inf"}, "'fragment_seconds' must be at least"),
        ("smoke", {"schedule": "linear"}, "'schedule' must be one of constant, cosine"),
        ("smoke", {"train_fraction": 1.0}, "'train_fraction' must be below 1"),
    ],
)
def test_a_wrong_setting_is_one_sentence(profile, overrides, says):
    with pytest.raises(UsageError, match=says.replace("(", r"\(")):
        resolve(profile, overrides=overrides)


def test_the_papers_split_belongs_to_librispeech_in_profile_paper():
    assert resolve("paper", "librispeech:train-clean-100+test-clean").split == "lab41"
    assert resolve("paper", "demo").split == resolve("standard", "librispeech").split == "proportional"


def test_all_settings_can_be_read_back():
    assert Settings(**resolve("paper").asdict()) == resolve("paper")
