"""Corpora by name: who said what, and the sound of it. A new corpus is one new file in this package."""

from mia_lib.registry import Registry

CORPORA = Registry("corpus", "mia_lib.corpora")

from mia_lib.corpora.base import Corpus, Utterance, open_corpus  # noqa: E402  (they use the registry above)

__all__ = ["CORPORA", "Corpus", "Utterance", "open_corpus"]
