"""A stack's layers compute what torch's own do, model by model, forth and back."""

import pytest
import torch

from mia_lib.models.layers import Conv1d
from mia_lib.models.norms import BatchNorm

MODELS, BATCH, LENGTH, CHANNELS = 3, 5, 14, 8


def inputs(length=LENGTH):
    torch.manual_seed(0)
    return torch.randn(MODELS, BATCH, length, CHANNELS, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("kernel, padding, dilation", [(3, 1, 1), (7, 1, 1), (3, 0, 2), (1, 0, 1)])
def test_a_convolution_is_torchs(kernel, padding, dilation):
    layer, x = Conv1d(MODELS, CHANNELS, 6, kernel, padding, dilation).double(), inputs()
    torch.nn.init.normal_(layer.weight)
    y = layer(x)
    slope = torch.randn_like(y)
    ours = torch.autograd.grad(y, (x, layer.weight), slope)
    for k in range(MODELS):
        xk = x[k].detach().transpose(1, 2).requires_grad_()
        weight = layer.weight[k].detach().view(kernel, CHANNELS, 6).permute(2, 1, 0).requires_grad_()
        expected = torch.nn.functional.conv1d(xk, weight, padding=padding, dilation=dilation)
        torch.testing.assert_close(y[k], expected.transpose(1, 2))
        dx, dw = torch.autograd.grad(expected, (xk, weight), slope[k].transpose(1, 2))
        torch.testing.assert_close(ours[0][k], dx.transpose(1, 2))
        torch.testing.assert_close(ours[1][k], dw.permute(2, 1, 0).reshape(-1, 6))


@pytest.mark.parametrize("pool", [1, 4])
def test_a_normalisation_is_torchs_whatever_the_sign_of_its_weights(pool):
    layer, x = BatchNorm(MODELS, CHANNELS).double(), inputs()
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    layer.weight.data[0, 0] = 0
    y = layer.pooled(x, pool) if pool > 1 else layer(x)
    slope = torch.randn_like(y)
    ours = torch.autograd.grad(y, (x, layer.weight, layer.bias), slope)
    for k in range(MODELS):
        peer = torch.nn.BatchNorm1d(CHANNELS).double()
        peer.weight.data, peer.bias.data = layer.weight.data[k].clone(), layer.bias.data[k].clone()
        xk = x[k].detach().transpose(1, 2).requires_grad_()
        expected = torch.max_pool1d(peer(xk), pool)
        torch.testing.assert_close(y[k], expected.transpose(1, 2))
        slopes = torch.autograd.grad(expected, (xk, peer.weight, peer.bias), slope[k].transpose(1, 2))
        nonzero = slice(1, None) if k == 0 and pool > 1 else slice(None)  # a constant has its maximum anywhere
        torch.testing.assert_close(ours[0][k], slopes[0].transpose(1, 2))
        torch.testing.assert_close(ours[1][k][nonzero], slopes[1][nonzero])
        torch.testing.assert_close(ours[2][k], slopes[2])
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(getattr(layer, name)[k], getattr(peer, name))
        torch.testing.assert_close(layer.eval()(x)[k], peer.eval()(xk).transpose(1, 2))
        layer.train()


def test_of_equal_neighbours_the_first_one_has_the_slope():
    layer, x = BatchNorm(1, 1).double(), torch.tensor([1.0, 1, 0, 0, 2, 2, 2, 2], dtype=torch.float64)
    x = x.view(1, 1, 8, 1).requires_grad_()
    peer, xk = torch.nn.BatchNorm1d(1).double(), x.detach().view(1, 1, 8).requires_grad_()
    slope = torch.tensor([1.0, 3.0], dtype=torch.float64)
    (ours,) = torch.autograd.grad(layer.pooled(x, 4), x, slope.view(1, 1, 2, 1))
    (theirs,) = torch.autograd.grad(torch.max_pool1d(peer(xk), 4), xk, slope.view(1, 1, 2))
    torch.testing.assert_close(ours.flatten(), theirs.flatten())


def test_a_layer_of_vectors_is_normalised_over_its_batch():
    layer = BatchNorm(2, 4).double()
    x = torch.randn(2, 9, 4, dtype=torch.float64) * 3 + 1
    y = layer(x)
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 4).double())
    torch.testing.assert_close(y.var(1, correction=0), torch.ones(2, 4).double(), rtol=1e-4, atol=1e-4)
