"""Speaker encoders by name: from a voice to an embedding. A new encoder is one new file in this package."""

from mia_lib.features.encoders.base import ENCODERS

__all__ = ["ENCODERS"]
