"""Corpora by name: who said what, and the sound of it. A new corpus is one new file in this package."""

from mia_lib.corpora.base import CORPORA, Corpus, FileCorpus, Utterance, make_table, open_corpus

__all__ = ["CORPORA", "Corpus", "FileCorpus", "Utterance", "make_table", "open_corpus"]
