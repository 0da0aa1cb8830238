"""Every name that a user can type, with one line on each: what `python -m mia_lib list` prints."""

import dataclasses

from mia_lib.attacks import ATTACKS
from mia_lib.corpora import CORPORA
from mia_lib.defenses import DEFENSES
from mia_lib.features import FEATURES
from mia_lib.features.encoders import ENCODERS
from mia_lib.features.named import ENCODED
from mia_lib.fragments.splits import PROTOCOLS
from mia_lib.models import MODELS
from mia_lib.series.notebooks import find_notebooks
from mia_lib.support.errors import MiaError
from mia_lib.support.settings import PROFILES, Settings, declared_type
from mia_lib.unlearning import METHODS


def sections() -> dict[str, dict[str, str]]:
    """Section -> name -> its one-line description; sections that hold nothing are left out."""
    known = {
        "corpora": CORPORA.describe(),
        "features": FEATURES.describe() | {f"{ENCODED}{name}": text for name, text in ENCODERS.describe().items()},
        "models": MODELS.describe(),
        "attacks": ATTACKS.describe(),
        "defenses": DEFENSES.describe(),
        "unlearning methods": METHODS.describe(),
        "protocols": dict(PROTOCOLS),
        "profiles": {name: _changes(values) for name, values in PROFILES.items()},
        "notebooks": _notebooks(),
        "settings": settings(),
    }
    return {title: entries for title, entries in known.items() if entries}


def settings() -> dict[str, str]:
    """Setting -> its type, its default, and what it means."""
    return {
        field.name: f"{declared_type(field).__name__} = {field.default}".ljust(22) + field.metadata["text"]
        for field in dataclasses.fields(Settings)
    }


def _changes(values: dict) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "the defaults of the settings"


def _notebooks() -> dict[str, str]:
    try:
        return {notebook.name: notebook.title for notebook in find_notebooks()}
    except MiaError:
        return {}
