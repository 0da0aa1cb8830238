"""What a speaker encoder looks like: a torch module from waveforms to embeddings, which registers itself by name."""

from mia_lib.support.registry import Registry

ENCODERS = Registry("encoder", "mia_lib.features.encoders")
"""Each is called without arguments and gives a module in evaluation mode, which maps waveforms float32 [B, T] in [-1, 1] at
16 kHz to embeddings float32 [B, D], each row by itself, and says in `fingerprint`, str, which weights it has. Raises
UsageError where the weights are not installed."""
