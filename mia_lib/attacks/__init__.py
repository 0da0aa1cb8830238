"""Membership inference attacks by name. A new attack is one new file in this package."""

from mia_lib.registry import Registry

ATTACKS = Registry("attack", "mia_lib.attacks")
