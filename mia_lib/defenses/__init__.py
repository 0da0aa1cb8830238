"""Defenses by name. A new defense is one new file in this package."""

from mia_lib.defenses.base import DEFENSES, Altering, Answers, Defense, make_defense

__all__ = ["DEFENSES", "Altering", "Answers", "Defense", "make_defense"]
