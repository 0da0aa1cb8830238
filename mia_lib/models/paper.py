"""The two networks of arXiv 1911.01888: three blocks of convolution, normalisation, ReLU and pooling, two linear layers."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

from mia_lib.models.layers import Conv1d, Dropout, Linear
from mia_lib.models.network import MODELS, StackedNetwork
from mia_lib.support.errors import MiaError

HIDDEN, POOL = 512, 4


class ThreeBlocks(StackedNetwork):
    """Three convolution blocks over `length` positions of `channels[0]` channels, then 512 hidden units."""

    kernel: int

    def blocks(self, models: int, length: int, channels: list[int], classes: list[int]) -> None:
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        needed = length
        for inputs, outputs in pairwise(channels):
            self.convolutions.append(Conv1d(models, inputs, outputs, self.kernel, padding=1))
            self.norms.append(self.normalisation(models, outputs))
            length = (length + 2 - self.kernel + 1) // POOL
        if length < 1:
            raise MiaError(
                f"a fragment of {needed} positions is too short for three poolings by {POOL}: "
                "use a longer fragment_seconds or a smaller hop"
            )
        self.drop_input, self.drop_hidden = Dropout(models, length * channels[-1]), Dropout(models, HIDDEN)
        self.hidden = Linear(models, length * channels[-1], HIDDEN)
        self.output = Linear(models, HIDDEN, max(classes), classes)

    def convolve(self, x: Tensor) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            # the maximum and ReLU commute: pool first, it is cheaper
            x = norm.pooled(convolution(x), POOL, rectified=True)  # type: ignore[operator]  # a ModuleList forgets classes
        return self.output(self.drop_hidden(relu(self.hidden(self.drop_input(x.flatten(2))))))


@MODELS.register("paper_mfcc")
class PaperMFCC(ThreeBlocks):
    """The paper's MFCC network: kernel 3 over time, 20-40-80-160 channels."""

    kernel = 3

    def build(self, models: int, frames: int, bins: int, classes: list[int]) -> None:
        self.blocks(models, frames, [bins, 2 * bins, 4 * bins, 8 * bins], classes)

    def body(self, x: Tensor) -> Tensor:
        return self.convolve(x)


@MODELS.register("paper_stft")
class PaperSTFT(ThreeBlocks):
    """The paper's |STFT| network: frames as channels, kernel 7 over frequency, 94-94-188-376 channels at 94 frames."""

    kernel = 7

    def build(self, models: int, frames: int, bins: int, classes: list[int]) -> None:
        self.blocks(models, bins, [frames, frames, 2 * frames, 4 * frames], classes)

    def body(self, x: Tensor) -> Tensor:
        return self.convolve(x.transpose(2, 3))
