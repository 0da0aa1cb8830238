"""Strengths of the models of one stack: one number for all, or one for each, so that a sweep trains in one call."""

from collections.abc import Sequence

import numpy as np

from mia_lib.errors import UsageError


def checked(name: str, strength: float | Sequence[float], least: float, wanted: str, finite: bool = True) -> np.ndarray:
    """The strength as float64 [] or [models]; raises UsageError, naming what is `wanted`, unless all are >= `least`."""
    values = np.asarray(strength, dtype=np.float64)
    if values.ndim > 1 or not values.size or not (values >= least).all() or (finite and np.isinf(values).any()):
        raise UsageError(f"the strength of {name} must be {wanted}, not {strength}")
    return values


def per_model(name: str, values: np.ndarray, models: int) -> np.ndarray:
    """One strength for each of the models, float64 [models]; raises UsageError when there are more or fewer."""
    if values.ndim and len(values) != models:
        raise UsageError(f"{name} has {len(values)} strengths for {models} models: give one, or one for each model")
    return np.broadcast_to(values, models)
