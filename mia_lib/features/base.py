"""What a feature looks like: a torch module on batches of waveforms, which registers itself by name."""

from mia_lib.support.registry import Registry

FEATURES = Registry("feature", "mia_lib.features")
"""Each is called with (hop, sample_rate), maps float waveforms [batch, samples] to [batch, frames, bins], and says in
`storage` as which dtype its values are kept."""
