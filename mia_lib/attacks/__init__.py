"""Membership inference attacks by name. A new attack is one new file in this package."""

from mia_lib.attacks.base import ATTACKS, Attack, check_references, check_shadows
from mia_lib.attacks.threshold import best_threshold

__all__ = ["ATTACKS", "Attack", "best_threshold", "check_references", "check_shadows"]
