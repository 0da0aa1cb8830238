"""A small x-vector network (Snyder et al., ICASSP 2018): dilated convolutions, statistics pooling, an embedding."""

from torch import Tensor, nn
from torch.nn.functional import relu

from mia_lib.models.layers import Conv1d, Dropout, Linear, statistics_pool
from mia_lib.models.network import MODELS, StackedNetwork
from mia_lib.support.errors import MiaError

WIDTH, EMBEDDING = 128, 256
CONTEXT = ((5, 1), (3, 2), (3, 3), (1, 1))  # kernel and dilation of each layer: 15 frames of context in all


@MODELS.register("xvector")
class XVector(StackedNetwork):
    """A small x-vector: four dilated time-delay layers, mean and deviation over time, 256-dimensional embedding."""

    def build(self, models: int, frames: int, bins: int, classes: list[int]) -> None:
        context = 1 + sum((kernel - 1) * dilation for kernel, dilation in CONTEXT)
        if frames < context:
            raise MiaError(
                f"a fragment of {frames} frames is too short for the x-vector network, which needs {context}"
            )
        self.delays, self.norms = nn.ModuleList(), nn.ModuleList()
        for i, (kernel, dilation) in enumerate(CONTEXT):
            self.delays.append(Conv1d(models, WIDTH if i else bins, WIDTH, kernel, dilation=dilation))
            self.norms.append(self.normalisation(models, WIDTH))
        self.drop_input, self.drop_hidden = Dropout(models, 2 * WIDTH), Dropout(models, EMBEDDING)
        self.embedding = Linear(models, 2 * WIDTH, EMBEDDING)
        self.embedding_norm = self.normalisation(models, EMBEDDING)
        self.output = Linear(models, EMBEDDING, max(classes), classes)

    def body(self, x: Tensor) -> Tensor:
        for delay, norm in zip(self.delays, self.norms, strict=True):
            x = norm(relu(delay(x)))
        embedded = relu(self.embedding_norm(self.embedding(self.drop_input(statistics_pool(x)))))
        return self.output(self.drop_hidden(embedded))
