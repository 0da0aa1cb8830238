"""Train K models at once: target and shadows are rows of one stack, in one call, on one feature tensor.

Every model has its own training fragments, labels, seed and number of epochs, and ends where it would have ended alone:
its batches follow from its seed and its fragments only. Batches are cut from an endless stream of shuffled passes, so
all have the same size; a model is finished after epochs × fragments / batch size steps, and its weights are then kept
aside while the rest of the stack goes on.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mia_lib.models import MODELS
from mia_lib.support.device import clock_of, tune
from mia_lib.support.digests import digest
from mia_lib.support.errors import MiaError
from mia_lib.support.progress import progress
from mia_lib.training.adam import StackedAdam
from mia_lib.training.batch import Batch, in_rows
from mia_lib.training.checkpoint import by_model, flat, read_checkpoint, write_checkpoint
from mia_lib.training.cuda_graph import WARM, Step, recorded
from mia_lib.training.job import Job, TrainingConfig, batch_sizes, begun_from, feature_statistics, own_steps, required
from mia_lib.training.objective import Objective
from mia_lib.training.trained import TrainedModels

if TYPE_CHECKING:
    from mia_lib.features.resident import Waveforms

CHECKPOINT_SECONDS = 20.0


def _side_by_side(schedules: Sequence[np.ndarray]) -> np.ndarray:
    """Schedules [steps, own width] of all models as one, int32 [steps, models, width]; places without a draw are -1."""
    width = max(schedule.shape[1] for schedule in schedules)
    padded = [np.pad(s, ((0, 0), (0, width - s.shape[1])), constant_values=-1) for s in schedules]
    return np.stack(padded, axis=1)


def train_models(
    features: "Tensor | Waveforms",
    labels: np.ndarray,
    train: Sequence[np.ndarray],
    config: TrainingConfig,
    seeds: Sequence[int],
    *,
    objective: Objective | None = None,
    **options,
) -> TrainedModels:
    """Train one model per index set, all at once.

    features: [N, frames, bins] on any device. labels: int64 [models, N], class of each fragment for each model, -1 where
    it has none. train: fragments of each model. seeds: one per model; weights and batch order follow from it.
    objective: what is minimised (None: cross-entropy). options: the other fields of `Job`, of which test is a list of
    fragments whose accuracy is followed in the history, which nothing else depends on; validation, needed with
    `patience`, of fragments whose loss decides when a model stops (its best weights are kept); checkpoint, a file to
    resume from, written every 20 s; start, weights of each model to begin from.

    Raises MiaError when a model has no fragments, an unlabelled one, or a loss that is not finite.
    """
    return train_job(Job(features, labels, train, config, seeds, **options), objective or Objective())


def train_job(job: Job, objective: Objective) -> TrainedModels:
    """`train_models` on a `Job`."""
    if job.config.patience:
        required(job.validation, "early stopping (patience > 0) needs validation fragments")
    for k, index in enumerate(job.train):
        if len(index) < 2 or job.labels[k][index].min() < 0:
            raise MiaError(f"model {k} needs at least two training fragments, each with a label")
    with torch.random.fork_rng(devices=[]):
        run = _Run(job, objective)
        return run.train(job.checkpoint, job.label)


class _Run:
    """State of one call of `train_models`."""

    def __init__(self, job: Job, objective: Objective):
        tune()
        self.job, self.config, self.objective = job, job.config, objective
        self.device, self.dtype = torch.device(job.device), job.dtype
        self.features = job.features.to(self.device)
        self.labels = torch.as_tensor(job.labels).to(self.device)
        self.test, self.validation, self.seeds = job.test, job.validation, [int(seed) for seed in job.seeds]
        labels, train, config, seeds = job.labels, job.train, job.config, self.seeds
        models = len(train)
        sizes = np.array([len(index) for index in train])
        self.steps = own_steps(config, train)
        self.steps_per_epoch = sizes / batch_sizes(config, train)
        self.epoch_steps = max(1, round(float(self.steps_per_epoch.mean())))
        self._plan_steps()
        steps, batches = int(self.steps.max()), batch_sizes(config, train).tolist()
        schedules = [objective.schedule(i, steps, b, s) for i, b, s in zip(train, batches, seeds, strict=True)]
        self.schedule = torch.from_numpy(_side_by_side(schedules)).to(self.device)  # [steps, models, batch]
        classes = [int(row.max()) + 1 for row in labels]
        network = MODELS.get(config.model)(*job.features.shape[1:], classes, config.norm).to(self.dtype)
        if job.start is None:
            network.initialise(seeds)
            network.normalise_by(*feature_statistics(job.features, train))
        else:
            network.take_weights(job.start)
        self.network = network.to(self.device).train()
        self.adam = StackedAdam(list(self.network.parameters()))
        self.finished: dict[int, dict[str, Tensor]] = {}  # model -> its final weights
        self.best = np.full(models, np.inf)
        self.best_weights: dict[int, dict[str, Tensor]] = {}
        self.waited = np.zeros(models, dtype=int)
        self.history: list[dict] = []
        self.fingerprint = digest([asdict(config), seeds, [digest(i.tolist()) for i in train], *begun_from(job)])
        self.objective.begin(job, self.network)

    def _plan_steps(self) -> None:
        """Progress, epoch and learning rate of each model at every step, [steps, models], and the number of the step itself,
        on the device: in an epoch nothing goes there from the host."""
        self.at = torch.zeros(1, dtype=torch.int64, device=self.device)
        step = np.arange(int(self.steps.max()))[:, None]
        done = np.minimum(step / self.steps, 1.0)
        shape = 0.5 * (1 + np.cos(np.pi * done)) if self.config.schedule == "cosine" else np.ones_like(done)
        self.done = torch.as_tensor(done, dtype=self.dtype).to(self.device)
        self.epoch = torch.as_tensor(step // self.steps_per_epoch).long().to(self.device)
        self.rates = torch.as_tensor(self.config.learning_rate * shape, dtype=self.dtype).to(self.device)

    def train(self, checkpoint: Path | None, label: str) -> TrainedModels:
        first, seconds = self._restore(checkpoint)
        clock, saved = clock_of(self.device), time.monotonic()
        started = clock()
        self.at.fill_(first)
        self.taken, total = first, int(self.steps.max())
        take: Step = self._step
        correct, losses, since = self._zero(), self._zero(), 0
        with progress(label, total, "step") as bar:
            bar.update(first)
            while self.taken < total and len(self.finished) < len(self.steps):
                if self.taken == first + WARM and self._recordable():
                    take = recorded(self._step, self.device)
                batch_loss, hits = take()
                losses, correct, since = losses + batch_loss, correct + hits, since + 1
                self.taken += 1
                step = self.taken
                if step % self.epoch_steps == 0 or step == total:
                    note = self._record(step, losses / since, correct / since)
                    correct, losses, since = self._zero(), self._zero(), 0
                    bar.note = note
                self._retire(step)
                bar.update(1)
                if checkpoint and since == 0 and time.monotonic() - saved > CHECKPOINT_SECONDS:
                    saved = time.monotonic()
                    self._save(checkpoint, step, seconds + clock() - started)
        for k, weights in self.finished.items():
            self._put(k, weights)
        self.network.eval().requires_grad_(False).zero_grad()
        return TrainedModels(
            self.network, self.config, pd.DataFrame(self.history), round(seconds + clock() - started, 3)
        )

    def _zero(self) -> Tensor:
        return torch.zeros(len(self.steps), device=self.device)

    def _recordable(self) -> bool:
        """Whether the host has no part in a step."""
        return not self.objective.draws and not self.job.alterations and isinstance(self.features, Tensor)

    def _step(self) -> tuple[Tensor, Tensor]:
        """Take the step that is numbered `at` on the device, and `taken` on the host; mean losses and accuracies [models]."""
        schedule, epoch, done, rates = (
            of_steps.index_select(0, self.at)[0] for of_steps in (self.schedule, self.epoch, self.done, self.rates)
        )
        self.at.add_(1)
        indices = schedule.long()
        drawn, known = indices >= 0, indices.clamp_min(0)
        features = self.features[known].to(self.dtype)
        labels = self.labels.gather(1, known).masked_fill(~drawn, 0)
        self.network.zero_grad(set_to_none=True)
        batch = Batch(indices, epoch, done, self.taken, self.seeds)
        inputs = self.job.altered_inputs(self.network, features, batch)
        losses, logits = self.objective.backward(self.network, inputs, labels, batch)
        self.adam.step(float(self.config.learning_rate) if self.config.schedule == "constant" else rates)
        self.objective.after_step(self.network, batch)
        hits = ((logits.argmax(-1) == labels) & drawn).sum(1)
        return losses.float(), hits / drawn.sum(1).clamp_min(1)

    def _record(self, step: int, losses: Tensor, accuracy: Tensor) -> str:
        """Note the epoch in the history, stop models whose validation loss no longer falls; returns a progress note."""
        if not torch.isfinite(losses).all():
            raise MiaError(
                f"the loss of model {int((~torch.isfinite(losses)).nonzero()[0])} is not finite at step {step}"
            )
        epoch = step / self.steps_per_epoch
        rare = step == int(self.steps.max()) or (step // self.epoch_steps) % 5 == 0
        unknown = [float("nan")] * len(self.steps)
        tested = self._accuracy(self.test) if self.test is not None and rare else unknown
        rows = zip(epoch, losses.tolist(), accuracy.tolist(), tested, strict=True)
        for k, (e, loss, train_accuracy, test_accuracy) in enumerate(rows):
            if k not in self.finished:
                self.history.append(
                    dict(model=k, epoch=e, loss=loss, train_accuracy=train_accuracy, test_accuracy=test_accuracy)
                )
        if self.config.patience:
            self._early_stopping()
        return f"loss {losses.mean():.3f}, accuracy {accuracy.mean():.1%}"

    def _early_stopping(self) -> None:
        assert self.validation is not None, "train_job refuses patience without validation fragments"
        for k, loss in enumerate(self._losses(self.validation)):
            if loss < self.best[k]:
                self.best[k], self.waited[k], self.best_weights[k] = loss, 0, self._take(k)
            elif k not in self.finished:
                self.waited[k] += 1
                if self.waited[k] >= self.config.patience:
                    self.finished[k] = self.best_weights[k]

    def _retire(self, step: int) -> None:
        """Keep aside the weights of models that have done all their steps."""
        for k in np.flatnonzero(self.steps <= step):
            if k not in self.finished:
                self.finished[int(k)] = self.best_weights.get(int(k)) or self._take(int(k))

    def _take(self, k: int) -> dict[str, Tensor]:
        return {name: t[k].clone() for name, t in self.network.state_dict().items()}

    def _put(self, k: int, weights: dict[str, Tensor]) -> None:
        for name, tensor in self.network.state_dict().items():
            tensor[k].copy_(weights[name])

    @torch.no_grad()
    def _logits(self, sets: Sequence[np.ndarray]):
        """Yield (logits, labels, valid) of each model on fragments of its own, in padded chunks (evaluation only)."""
        self.network.eval()
        padded, size = in_rows(sets).to(self.device), max(self.config.batch_size, 64)
        lengths = torch.tensor([len(i) for i in sets], device=self.device)
        for start in range(0, padded.shape[1], size):
            indices = padded[:, start : start + size]
            valid = torch.arange(start, start + indices.shape[1], device=self.device) < lengths[:, None]
            yield self.network(self.features[indices].to(self.dtype)), self.labels.gather(1, indices), valid
        self.network.train()

    def _accuracy(self, sets: Sequence[np.ndarray]) -> list[float]:
        hits = sum(((z.argmax(-1) == y) & valid).sum(1) for z, y, valid in self._logits(sets))
        return (hits.cpu().numpy() / np.array([len(i) for i in sets])).tolist()

    def _losses(self, sets: Sequence[np.ndarray]) -> list[float]:
        nll = sum(
            (-torch.log_softmax(z, -1).gather(-1, y[..., None]).squeeze(-1) * valid).sum(1)
            for z, y, valid in self._logits(sets)
        )
        return (nll.cpu().numpy() / np.array([len(i) for i in sets])).tolist()

    def _save(self, path: Path, step: int, seconds: float) -> None:
        groups = dict(network=self.network.state_dict(), adam=self.adam.tensors(), objective=self.objective.tensors())
        running = {k: weights for k, weights in self.best_weights.items() if k not in self.finished}
        groups |= dict(finished=flat(self.finished), best=flat(running))  # no tensor may be in a file twice
        about = dict(step=step, seconds=seconds, history=self.history, fingerprint=self.fingerprint)
        about |= dict(best=self.best.tolist(), waited=self.waited.tolist())
        write_checkpoint(path, groups, about)

    def _restore(self, path: Path | None) -> tuple[int, float]:
        """Continue from a checkpoint of the same run; returns its step and the seconds spent, or zeros."""
        kept = read_checkpoint(path, self.fingerprint, self.device)
        if kept is None:
            return 0, 0.0
        groups, about = kept
        self.network.load_state_dict(groups["network"])
        for name, tensor in self.adam.tensors().items():
            tensor.copy_(groups["adam"][name])
        self.objective.restore(groups.get("objective", {}))
        self.finished = by_model(groups.get("finished", {}))
        self.best_weights = by_model(groups.get("best", {}))
        self.history, self.best = about["history"], np.array(about["best"])
        self.waited = np.array(about["waited"])
        return about["step"], about["seconds"]
