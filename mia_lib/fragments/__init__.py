"""Fixed-length pieces of utterances: cut, divided between models, altered."""

from mia_lib.fragments.cutting import Fragments, make_fragments
from mia_lib.fragments.splits import PROTOCOLS, Split, membership

__all__ = ["PROTOCOLS", "Fragments", "Split", "make_fragments", "membership"]
