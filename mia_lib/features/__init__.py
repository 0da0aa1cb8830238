"""Features by name: what a model sees of a fragment. A new feature is one new file in this package."""

from mia_lib.registry import Registry

FEATURES = Registry("feature", "mia_lib.features")
