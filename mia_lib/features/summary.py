"""What a fragment is like, in a few numbers."""

import numpy as np
import torch


def summary_vectors(features: torch.Tensor) -> np.ndarray:
    """Mean and standard deviation over time of features [N, frames, bins]: float [N, 2 bins]; a single frame as it is."""
    if features.shape[1] == 1:
        return features[:, 0].float().numpy()
    deviation, mean = torch.std_mean(features.float(), dim=1)
    return torch.cat([mean, deviation], dim=1).numpy()
