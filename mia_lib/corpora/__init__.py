"""Corpora by name: who said what, and the sound of it. A new corpus is one new file in this package."""

from mia_lib.registry import Registry

CORPORA = Registry("corpus", "mia_lib.corpora")
