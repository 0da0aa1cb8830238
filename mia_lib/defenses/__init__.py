"""Defenses by name. A new defense is one new file in this package."""

from mia_lib.registry import Registry

DEFENSES = Registry("defense", "mia_lib.defenses")
