"""What is compiled for a CPU computes what torch's own operations do, which other devices use."""

import pytest
import torch

from mia_lib.models import norms
from mia_lib.models.layers import CompiledWindows, Windows
from mia_lib.models.norms import CompiledNormalisedPool, NormalisedPool
from mia_lib.support import device
from mia_lib.training.adam import StackedAdam

MODELS, BATCH, LENGTH, CHANNELS = 3, 5, 14, 40


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def there_and_back(function, given, *options):
    y = function.apply(*given, *options)
    slope = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    return y, *torch.autograd.grad(y, given, slope)


@pytest.mark.parametrize("rectified", [False, True], ids=["as it is", "rectified"])
@pytest.mark.parametrize("pool", [1, 3, 4])
def test_a_compiled_normalisation_is_that_of_torchs_operations(pool, rectified):
    class Torchs:
        @staticmethod
        def apply(*given):
            y = NormalisedPool.apply(*given[:-1])
            return y.relu() if rectified else y

    x, (weight, bias) = numbers(MODELS, BATCH, LENGTH, CHANNELS), numbers(2, MODELS, CHANNELS, seed=2).unbind()
    found, moved = [], []
    for function in (CompiledNormalisedPool, Torchs):
        moved.append((torch.full((MODELS, CHANNELS), 0.5), torch.full((MODELS, CHANNELS), 2.0)))
        found.append(there_and_back(function, (x, weight, bias), pool, moved[-1], 0.1, rectified))
    assert (found[0][0] == 0).any() == rectified
    for ours, theirs in zip(found[0] + moved[0], found[1] + moved[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "kernel, padding, dilation", [(3, 1, 1), (7, 1, 1), (3, 0, 2), (1, 0, 1), (3, 2, 2), (5, 6, 1)]
)
def test_compiled_windows_are_those_of_torchs_operations(kernel, padding, dilation):
    x = numbers(MODELS, BATCH, LENGTH, CHANNELS)
    found = [there_and_back(function, (x,), kernel, padding, dilation) for function in (CompiledWindows, Windows)]
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned in memory"])
def test_a_settled_normalisation_is_that_of_torchs_operations(turned, monkeypatch):
    layer, x = norms.BatchNorm(MODELS, CHANNELS).eval(), numbers(MODELS, BATCH, LENGTH, CHANNELS)
    for tensor in (layer.weight.data, layer.bias.data, layer.running_mean):
        tensor.normal_(generator=torch.Generator().manual_seed(3))

    def answers():
        y = layer.pooled(x.transpose(1, 2) if turned else x, 2, rectified=True)
        slope = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
        return y, *torch.autograd.grad(y, (x, layer.weight, layer.bias), slope)

    ours = answers()
    monkeypatch.setattr(device, "compiled", lambda tensor: False)
    for mine, theirs in zip(ours, answers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rates", [1e-2, torch.tensor([1e-2, 0.0, 3e-3])], ids=["one rate", "a rate for each"])
def test_a_compiled_step_of_adam_is_that_of_torchs_kernel(rates):
    parameters = [[torch.nn.Parameter(numbers(MODELS, 7, 9).detach().clone())] for _ in range(2)]
    compiled, fused = map(StackedAdam, parameters)
    for step in range(5):
        for (parameter,) in parameters:
            parameter.grad = numbers(MODELS, 7, 9, seed=10 + step).detach()
        compiled.step(rates)
        with torch.no_grad():
            fused.without_compiling(rates)
    torch.testing.assert_close(parameters[0][0], parameters[1][0], rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(compiled.tensors().values(), fused.tensors().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_the_bits_of_a_model_do_not_depend_on_its_stack():
    x, (weight, bias) = numbers(MODELS, BATCH, LENGTH, CHANNELS), numbers(2, MODELS, CHANNELS, seed=2).unbind()
    running = torch.zeros(MODELS, CHANNELS), torch.ones(MODELS, CHANNELS)
    together = there_and_back(CompiledNormalisedPool, (x, weight, bias), 4, running, 0.1)
    for k in range(MODELS):
        one = [tensor[k : k + 1].detach().clone().requires_grad_() for tensor in (x, weight, bias)]
        y = CompiledNormalisedPool.apply(*one, 4, tuple(t[k : k + 1] for t in running), 0.1)
        assert torch.equal(y[0], together[0][k])


def test_what_is_not_a_number_stays_none():
    x = numbers(1, 2, 8, 3).detach()
    x[0, 0, 0, 1] = float("nan")
    running = torch.zeros(1, 3), torch.ones(1, 3)
    for rectified in (False, True):
        y = CompiledNormalisedPool.apply(x, torch.ones(1, 3), torch.zeros(1, 3), 4, running, 0.1, rectified)
        assert torch.isnan(y[..., 1]).all()
        assert torch.isfinite(y[..., [0, 2]]).all()


def test_what_would_be_written_to_a_copy_is_refused():
    parameter = torch.nn.Parameter(numbers(7, MODELS).detach().T)
    parameter.grad = numbers(MODELS, 7).detach()
    adam = StackedAdam([parameter])
    with pytest.raises((TypeError, RuntimeError)):
        adam.step(1e-2)
