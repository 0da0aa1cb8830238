"""What is said of a fragment without any model is finite, also where its feature has a single frame."""

import torch

from mia_lib.features.summary import summary_vectors


def test_mean_and_deviation_over_the_frames_or_the_only_frame_itself_by_hand():
    features = torch.tensor([[[1.0, 2.0], [3.0, 2.0]]])
    torch.testing.assert_close(torch.from_numpy(summary_vectors(features)), torch.tensor([[2.0, 2.0, 2**0.5, 0.0]]))
    assert summary_vectors(features[:, :1]).tolist() == [[1.0, 2.0]]
