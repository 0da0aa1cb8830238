"""What the process is set to before anything is computed."""

import time

import pytest
import torch

from mia_lib.support.device import CHUNK_VALUES, at_once, clock_of, tune


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


def test_the_time_of_one_core_is_not_lengthened_by_waiting_and_that_of_several_is_the_clocks(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    clock, started = clock_of(torch.device("cpu")), time.monotonic()
    before = clock()
    time.sleep(0.05)
    assert clock() - before < 0.5 * (time.monotonic() - started)
    assert clock_of(torch.device("cuda")) is time.monotonic
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert clock_of(torch.device("cpu")) is time.monotonic
