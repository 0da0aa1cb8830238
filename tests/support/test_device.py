"""What the process is set to before anything is computed."""

import pytest
import torch

from mia_lib.support.device import CHUNK_VALUES, at_once, tune


def test_denormal_numbers_count_as_zero_and_products_on_cuda_may_round():
    tune()
    assert torch.tensor(1e-30) * 1e-10 == 0
    assert torch.backends.cuda.matmul.allow_tf32


def test_products_on_the_cpu_are_not_rounded():
    torch.manual_seed(0)
    a, b = torch.randn(3, 64, 240), torch.randn(3, 240, 160)
    tune()
    assert (torch.bmm(a, b) - torch.bmm(a.double(), b.double())).abs().max() < 1e-4


@pytest.mark.parametrize(("device", "kind"), [("cpu", "cpu"), ("cuda:1", "cuda"), ("mps", "cuda")])
def test_a_query_is_as_large_as_suits_the_device_and_holds_a_fragment_at_least(device, kind):
    assert at_once(1000, device) == CHUNK_VALUES[kind] // 1000
    assert at_once(10 * CHUNK_VALUES[kind], torch.device(device)) == 1
