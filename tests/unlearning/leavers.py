"""A linear classifier of three people from two numbers, small enough to be worked out by hand, and who leaves it."""

import numpy as np
import torch

from mia_lib.models.layers import Linear
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job, TrainingConfig


class Tiny(StackedNetwork):
    """One layer on the one frame of two bins."""

    def build(self, models, frames, bins, classes):
        self.output = Linear(models, bins, max(classes), classes)

    def body(self, x):
        return self.output(x[:, :, 0])


WEIGHTS = np.array([[0.5, -0.2, 0.1], [0.3, 0.4, -0.6]])  # [bins, classes]
FEATURES = np.array([[1.0, 2.0], [0.5, -1.0], [-1.5, 1.0], [2.0, 0.3]])
LABELS = np.array([0, 1, 2, 2])
STAY, LEAVE = np.array([0, 1]), np.array([2, 3])


def network():
    made = Tiny(1, 2, [3]).double()
    made.output.weight.data.copy_(torch.from_numpy(WEIGHTS)[None])
    made.output.bias.data.zero_()
    return made


def job(**options):
    config = TrainingConfig(epochs=1, batch_size=2)
    features = torch.from_numpy(FEATURES)[:, None]
    return Job(features, LABELS[None], [STAY], config, [0], leaving=[LEAVE], dtype=torch.float64, **options)


def batch(step=0, epoch=0):
    return Batch(torch.from_numpy(STAY)[None], torch.tensor([epoch]), torch.zeros(1), step, [0])


def step(objective, made=None, **at):
    """The loss of one step and the gradient of the weights [bins, classes]; without a network, of the first one."""
    if made is None:
        made = network()
        objective.begin(job(), made)
    rows = torch.from_numpy(STAY)
    inputs, labels = torch.from_numpy(FEATURES)[rows][None, :, None], torch.from_numpy(LABELS)[rows][None]
    made.zero_grad(set_to_none=True)
    losses, _ = objective.backward(made, inputs, labels, batch(**at))
    return float(losses[0]), made.output.weight.grad[0].numpy()


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def slope_of_cross_entropy(rows, weights=WEIGHTS):
    """Mean cross-entropy of fragments, and its gradient in the weights: mean of x (p - y)."""
    x, y = FEATURES[rows], np.eye(3)[LABELS[rows]]
    p = softmax(x @ weights)
    return -np.log((p * y).sum(1)).mean(), x.T @ (p - y) / len(rows)


def slope_of_divergence(rows, teacher, weights=WEIGHTS):
    """Mean KL(teacher ‖ student) of fragments, and its gradient in the student's weights: mean of x (p - t)."""
    x, p = FEATURES[rows], softmax(FEATURES[rows] @ weights)
    t = softmax(x @ teacher)
    return (t * np.log(t / p)).sum(1).mean(), x.T @ (p - t) / len(rows)
