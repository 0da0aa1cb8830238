"""Target architectures by name, each written once for any number of models. A new one is one new file in this package."""

from mia_lib.models.network import MODELS, StackedNetwork

__all__ = ["MODELS", "StackedNetwork"]
