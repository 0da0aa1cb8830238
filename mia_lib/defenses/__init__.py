"""Defenses by name. A new defense is one new file in this package."""

from mia_lib.defenses.base import DEFENSES, Answers, Defense, InputDefense, make_defense

__all__ = ["DEFENSES", "Answers", "Defense", "InputDefense", "make_defense"]
