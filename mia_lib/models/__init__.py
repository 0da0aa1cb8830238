"""Target architectures by name, each written once for any number of models. A new one is one new file in this package."""

from mia_lib.registry import Registry

MODELS = Registry("model", "mia_lib.models")
