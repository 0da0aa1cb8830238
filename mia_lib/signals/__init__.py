"""Signals: what models answer. The border between whoever owns a model and whoever attacks it."""

from mia_lib.signals.query import query_models
from mia_lib.signals.signals import Signals
from mia_lib.signals.statistics import Statistics

__all__ = ["Signals", "Statistics", "query_models"]
