"""Features by name: what a model sees of a fragment. A new feature is one new file in this package."""

from mia_lib.features.base import FEATURES
from mia_lib.features.compute import compute_features

__all__ = ["FEATURES", "compute_features"]
