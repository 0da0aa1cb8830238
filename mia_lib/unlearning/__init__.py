"""Unlearning methods by name. A new method is one new file in this package."""

from mia_lib.unlearning.base import METHODS, Method, make_method

__all__ = ["METHODS", "Method", "make_method"]
