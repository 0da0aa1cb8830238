"""What only the owner of a model can read off it for a fragment: gradients and hidden activations, of K models at once.

The cross-entropy is log(1 + exp(-phi)), with phi the logit-scaled confidence, so its gradient is that of phi times
-sigmoid(-phi). The factor's logarithm is exact where a posterior rounds to 1 and the gradient itself would round to 0.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mia_lib.models.network import StackedNetwork
from mia_lib.models.per_example import gradient_squares, recorded, slopes
from mia_lib.signals.internals import INTERNALS
from mia_lib.signals.statistics import log_odds, other_logits
from mia_lib.support.errors import MiaError
from mia_lib.support.progress import progress

CHUNK_VALUES = 2_000_000  # feature values read at once, over all models: some hundred MB inside
SMALLEST_NORM = 1e-12


def read_internals(
    network: StackedNetwork, features: Tensor, labels: np.ndarray, device: str | torch.device = "cpu"
) -> np.ndarray:
    """The INTERNALS of every model and fragment, float64 [models, n, W].

    features: [n, frames, bins]. labels: int64 [models, n], the fragment's class; the predicted class stands in for -1.
    Every fragment is read by itself, in chunks of bounded memory. Raises MiaError unless the last layer is `output`.
    """
    if not hasattr(network, "output"):
        raise MiaError(f"the architecture {type(network).__name__} must call its last layer 'output' to be read")
    network = network.to(device).eval()
    models, n = labels.shape
    size = max(1, CHUNK_VALUES // (models * features[0].numel()))
    out, y = np.empty((models, n, len(INTERNALS))), torch.as_tensor(labels)
    with progress(f"internals of {models} models", n, "fragment") as bar:
        for start in range(0, n, size):
            x = features[start : start + size].to(device, network.mean.dtype)
            numbers = _read(network, x, y[:, start : start + size].to(device))
            out[:, start : start + size] = numbers.cpu().numpy()
            bar.update(len(x))
    return out


def _read(network: StackedNetwork, x: Tensor, y: Tensor) -> Tensor:
    """INTERNALS [K, n, W] of fragments x [n, frames, bins] with classes y [K, n], in one pass forth and one back."""
    with torch.enable_grad(), recorded(network) as calls:
        z = network(x.clone().requires_grad_())
        y = torch.where(y >= 0, y, z.argmax(-1))
        square = gradient_squares(calls, slopes(calls, log_odds(z, y)))
    with torch.no_grad():
        hidden = next(inputs[0] for layer, inputs, _ in calls if layer is network.output)
        return _numbers(square.sqrt(), z, y, hidden, network.output.weight)


def _numbers(norm: Tensor, z: Tensor, y: Tensor, hidden: Tensor, weight: Tensor) -> Tensor:
    """INTERNALS [K, n, W] from the norms of phi's gradients [K, n], logits, classes, hidden activations and last weights.

    The last layer's gradient is the outer product of (h, 1) and p - e_y, and phi's that of (h, 1) and e_y - q, with q the
    posteriors among the other classes.
    """
    z, hidden = z.double(), hidden.double()
    factor = logsigmoid(-log_odds(z, y))
    q = torch.softmax(other_logits(z, y), -1)
    length = torch.linalg.vector_norm(hidden, dim=-1)
    output = factor + (q.square().sum(-1).log1p() + length.square().log1p()) / 2
    models = torch.arange(len(weight), device=weight.device)[:, None]
    vector = weight[models, :, y].double()  # [K, n, H]
    scale = (length * torch.linalg.vector_norm(vector, dim=-1)).clamp_min(SMALLEST_NORM)
    return torch.stack([factor + norm.log(), output, length, (hidden * vector).sum(-1) / scale], dim=-1)
