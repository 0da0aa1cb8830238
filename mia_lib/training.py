"""Train K models at once: target and shadows are rows of one stack, in one call, on one feature tensor.

Every model has its own training fragments, labels, seed and number of epochs, and ends where it would have ended alone:
its batches follow from its seed and its fragments only. Batches are cut from an endless stream of shuffled passes, so
all have the same size; a model is finished after epochs × fragments / batch size steps, and its weights are then kept
aside while the rest of the stack goes on.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mia_lib.errors import MiaError, UsageError
from mia_lib.models import MODELS
from mia_lib.models.layers import StackedNetwork
from mia_lib.objectives import Batch, Objective
from mia_lib.process import tune
from mia_lib.progress import progress
from mia_lib.stages import digest

CHECKPOINT_SECONDS = 20.0
PER_MODEL = ("train", "seeds", "test", "validation", "reference")  # fields of a job with one entry for each model


@dataclass(frozen=True)
class TrainingConfig:
    """How a stack is trained; `epochs` may be one number or one per model."""

    model: str = "paper_mfcc"
    epochs: int | tuple[int, ...] = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    schedule: str = "constant"  # or "cosine": to zero over each model's own steps
    patience: int = 0  # epochs without a lower validation loss after which a model stops (0: never)
    norm: str = "batch"  # how the network normalises, a name in `layers.NORMS`; "group" mixes no examples

    def epochs_of(self, models: int) -> tuple[int, ...]:
        """The epochs of each of so many models."""
        return (self.epochs,) * models if isinstance(self.epochs, int) else tuple(self.epochs)


@dataclass(frozen=True)
class Job:
    """Everything that one call of `train_models` trains on; see there. Three fields are for defenses: `reference`,
    fragments of each model's own speakers that are neither trained on nor audited; `variants`, the features [copies, N,
    frames, bins] of altered copies of all fragments; and `groups`, int64 [N]: fragments with the same number were cut from
    one source and must stay on one side wherever a defense divides them (None: each stands for itself).
    """

    features: Tensor
    labels: np.ndarray
    train: Sequence[np.ndarray]
    config: TrainingConfig
    seeds: Sequence[int]
    test: Sequence[np.ndarray] | None = None
    validation: Sequence[np.ndarray] | None = None
    reference: Sequence[np.ndarray] | None = None
    variants: Tensor | None = None
    groups: np.ndarray | None = None
    device: str | torch.device = "cpu"
    dtype: torch.dtype = torch.float32
    checkpoint: Path | None = None
    label: str = "train"

    def pick(self, models: Sequence[int]) -> "Job":
        """The job of some of the models."""
        parts = {name: getattr(self, name) for name in PER_MODEL}
        parts = {name: None if given is None else [given[k] for k in models] for name, given in parts.items()}
        epochs = self.config.epochs_of(len(self.train))
        config = replace(self.config, epochs=tuple(epochs[k] for k in models))
        return replace(self, labels=self.labels[list(models)], config=config, **parts)


def joined(jobs: Sequence[Job]) -> Job:
    """Jobs on the same features that differ in their models only, as one; checkpoint and label are the first's."""
    first, parts = jobs[0], {}
    for name in PER_MODEL:
        given = [getattr(job, name) for job in jobs]
        parts[name] = None if given[0] is None else [item for part in given for item in part]
    epochs = tuple(e for job in jobs for e in job.config.epochs_of(len(job.train)))
    labels = np.concatenate([job.labels for job in jobs])
    return replace(first, labels=labels, config=replace(first.config, epochs=epochs), **parts)


@dataclass
class TrainedModels:
    """A trained stack, and how it got there."""

    network: StackedNetwork
    config: TrainingConfig
    history: pd.DataFrame = field(repr=False)  # model, epoch, loss, train_accuracy, test_accuracy
    seconds: float = 0.0

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), history (parquet) and the description (json) into `folder`."""
        network = self.network
        save_file(
            {name: t.cpu().contiguous() for name, t in network.state_dict().items()}, folder / "models.safetensors"
        )
        self.history.to_parquet(folder / "history.parquet")
        about = dict(frames=network.frames, bins=network.bins, classes=network.classes, seconds=self.seconds)
        (folder / "models.json").write_text(json.dumps(about | {"config": asdict(self.config)}))

    def pick(self, models: Sequence[int]) -> "TrainedModels":
        """Some of the models, as if only they had been trained; of the time, their share."""
        old, config = self.network, self.config
        if not isinstance(config.epochs, int):
            config = replace(config, epochs=tuple(config.epochs[k] for k in models))
        classes = [old.classes[k] for k in models]
        network = type(old)(old.frames, old.bins, classes, config.norm).to(old.mean)
        for name, tensor in network.state_dict().items():  # the last layer is as wide as the largest number of classes
            tensor.copy_(old.state_dict()[name][list(models)][tuple(slice(size) for size in tensor.shape)])
        places = {k: i for i, k in enumerate(models)}
        history = self.history[self.history["model"].isin(places)]
        history = history.assign(model=history["model"].map(places)).reset_index(drop=True)
        seconds = round(self.seconds * len(models) / len(old.classes), 3)
        return TrainedModels(network.eval().requires_grad_(False), config, history, seconds)

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> "TrainedModels":
        """Read what `save` wrote."""
        about = json.loads((folder / "models.json").read_text())
        config = about["config"]
        if isinstance(config["epochs"], list):
            config["epochs"] = tuple(config["epochs"])
        config = TrainingConfig(**config)
        with safe_open(folder / "models.safetensors", "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network = MODELS.get(config.model)(about["frames"], about["bins"], about["classes"], config.norm)
        network = network.to(weights["mean"].dtype)
        network.load_state_dict(weights)
        history = pd.read_parquet(folder / "history.parquet")
        return cls(network.to(device).eval(), config, history, about["seconds"])


def concatenated(parts: Sequence[TrainedModels]) -> TrainedModels:
    """Models that were trained in several calls, as if in one."""
    first, networks = parts[0], [part.network for part in parts]
    classes = [c for network in networks for c in network.classes]
    whole = type(first.network)(first.network.frames, first.network.bins, classes, first.config.norm)
    whole = whole.to(first.network.mean)
    for name, tensor in whole.state_dict().items():
        tensor.zero_()  # the last layer of a part may be narrower
        start = 0
        for network in networks:
            own = network.state_dict()[name]
            tensor[start : start + len(own)][tuple(slice(size) for size in own.shape)] = own
            start += len(own)
    epochs = tuple(e for p in parts for e in p.config.epochs_of(len(p.network.classes)))
    starts = np.cumsum([0, *(len(network.classes) for network in networks)])
    history = [p.history.assign(model=p.history["model"] + k) for p, k in zip(parts, starts, strict=False)]
    whole = whole.eval().requires_grad_(False)
    config = replace(first.config, epochs=epochs)
    return TrainedModels(whole, config, pd.concat(history, ignore_index=True), sum(part.seconds for part in parts))


def feature_statistics(features: Tensor, indices: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per bin over each model's own fragments: two tensors [models, bins]."""
    n, frames, bins = features.shape
    total, square = torch.empty(n, bins, dtype=torch.float64), torch.empty(n, bins, dtype=torch.float64)
    for start in range(0, n, 1024):
        part = features[start : start + 1024].double()
        total[start : start + 1024], square[start : start + 1024] = part.sum(1).cpu(), (part**2).sum(1).cpu()
    means, scales = [], []
    for index in indices:
        mean = total[index].sum(0) / (len(index) * frames)
        variance = square[index].sum(0) / (len(index) * frames) - mean**2
        means.append(mean)
        scales.append(variance.clamp_min(1e-12).sqrt())
    return torch.stack(means), torch.stack(scales)


def own_steps(config: TrainingConfig, train: Sequence[np.ndarray]) -> np.ndarray:
    """Steps after which each model has passed `epochs` times over its fragments, int64 [models]."""
    return -(-np.array(config.epochs_of(len(train))) * np.array([len(index) for index in train]) // config.batch_size)


def _side_by_side(schedules: Sequence[np.ndarray]) -> np.ndarray:
    """Schedules [steps, own width] of all models as one, int32 [steps, models, width]; places without a draw are -1."""
    width = max(schedule.shape[1] for schedule in schedules)
    padded = [np.pad(s, ((0, 0), (0, width - s.shape[1])), constant_values=-1) for s in schedules]
    return np.stack(padded, axis=1)


class StackedAdam:
    """Adam (Kingma and Ba 2015) on tensors with a leading model axis, with one learning rate per model.

    torch's fused kernel, which passes once over memory but knows one rate only, steps from zero at rate 1; each model then
    takes its share of that step.
    """

    def __init__(self, parameters: Sequence[Tensor], betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        self.parameters = list(parameters)
        self.mean, self.square, self.updates = ([torch.zeros_like(p) for p in self.parameters] for _ in range(3))
        self.counts = [torch.zeros((), device=p.device) for p in self.parameters]
        self.options = dict(lr=1.0, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=0.0)

    @torch.no_grad()
    def step(self, rates: Tensor) -> None:
        """One update; `rates` [models] are the learning rates."""
        torch._foreach_add_(self.counts, 1)
        state = self.updates, [p.grad for p in self.parameters], self.mean, self.square, [], self.counts
        torch._fused_adam_(*state, **self.options, amsgrad=False, maximize=False)
        for p, update in zip(self.parameters, self.updates, strict=True):
            p.addcmul_(update, rates.view(-1, *[1] * (p.ndim - 1)))
        torch._foreach_zero_(self.updates)

    def tensors(self) -> dict[str, Tensor]:
        """Moments and step counts by name, to be saved or copied into."""
        groups = dict(mean=self.mean, square=self.square, count=self.counts)
        return {f"{name}.{i}": tensor for name, group in groups.items() for i, tensor in enumerate(group)}


def train_models(
    features: Tensor,
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
    resume from, written every 20 s.

    Raises MiaError when a model has no fragments, an unlabelled one, or a loss that is not finite.
    """
    return train_job(Job(features, labels, train, config, seeds, **options), objective or Objective())


def train_job(job: Job, objective: Objective) -> TrainedModels:
    """`train_models` on a `Job`."""
    if job.config.patience and job.validation is None:
        raise UsageError("early stopping (patience > 0) needs validation fragments")
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
        self.config, self.objective, self.device, self.dtype = (
            job.config,
            objective,
            torch.device(job.device),
            job.dtype,
        )
        self.features = job.features.to(self.device)
        self.labels = torch.as_tensor(job.labels).to(self.device)
        self.test, self.validation, self.seeds = job.test, job.validation, [int(seed) for seed in job.seeds]
        labels, train, config, seeds = job.labels, job.train, job.config, self.seeds
        models = len(train)
        sizes = np.array([len(index) for index in train])
        self.steps = own_steps(config, train)
        self.epoch_steps = max(1, round(float(np.mean(sizes)) / config.batch_size))
        self.steps_per_epoch = sizes / config.batch_size
        self._plan_steps()
        steps, size = int(self.steps.max()), config.batch_size
        schedules = [objective.schedule(i, steps, size, s) for i, s in zip(train, seeds, strict=True)]
        self.schedule = torch.from_numpy(_side_by_side(schedules)).to(self.device)  # [steps, models, batch]
        classes = [int(row.max()) + 1 for row in labels]
        network = MODELS.get(config.model)(*job.features.shape[1:], classes, config.norm).to(self.dtype)
        network.initialise(seeds)
        mean, scale = feature_statistics(job.features, train)
        network.mean.copy_(mean)
        network.scale.copy_(scale)
        self.network = network.to(self.device).train()
        self.adam = StackedAdam(list(self.network.parameters()))
        self.finished: dict[int, dict[str, Tensor]] = {}  # model -> its final weights
        self.best = np.full(models, np.inf)
        self.best_weights: dict[int, dict[str, Tensor]] = {}
        self.waited = np.zeros(models, dtype=int)
        self.history: list[dict] = []
        self.fingerprint = digest([asdict(config), seeds, [digest(i.tolist()) for i in train]])
        self.objective.begin(job, self.network)

    def _plan_steps(self) -> None:
        """Progress, epoch and learning rate of each model at every step, [steps, models] on the device: in an epoch nothing
        goes there from the host."""
        step = np.arange(int(self.steps.max()))[:, None]
        done = np.minimum(step / self.steps, 1.0)
        shape = 0.5 * (1 + np.cos(np.pi * done)) if self.config.schedule == "cosine" else np.ones_like(done)
        self.done = torch.as_tensor(done, dtype=self.dtype).to(self.device)
        self.epoch = torch.as_tensor(step // self.steps_per_epoch).long().to(self.device)
        self.rates = torch.as_tensor(self.config.learning_rate * shape, dtype=self.dtype).to(self.device)

    def train(self, checkpoint: Path | None, label: str) -> TrainedModels:
        step, seconds = self._restore(checkpoint)
        started = saved = time.monotonic()
        total = int(self.steps.max())
        title = f"{label} {len(self.steps)} models"
        correct, losses, since = self._zero(), self._zero(), 0
        with progress(title, total, "step") as bar:
            bar.update(step)
            while step < total and len(self.finished) < len(self.steps):
                batch_loss, hits = self._step(step)
                losses, correct, since, step = losses + batch_loss, correct + hits, since + 1, step + 1
                if step % self.epoch_steps == 0 or step == total:
                    note = self._record(step, losses / since, correct / since)
                    correct, losses, since = self._zero(), self._zero(), 0
                    bar.note = note
                self._retire(step)
                bar.update(1)
                if checkpoint and since == 0 and time.monotonic() - saved > CHECKPOINT_SECONDS:
                    saved = time.monotonic()
                    self._save(checkpoint, step, seconds + saved - started)
        for k, weights in self.finished.items():
            self._put(k, weights)
        self.network.eval().requires_grad_(False)
        return TrainedModels(
            self.network, self.config, pd.DataFrame(self.history), round(seconds + time.monotonic() - started, 3)
        )

    def _zero(self) -> Tensor:
        return torch.zeros(len(self.steps), device=self.device)

    def _step(self, step: int) -> tuple[Tensor, Tensor]:
        indices = self.schedule[step].long()
        drawn, known = indices >= 0, indices.clamp_min(0)
        features = self.features[known].to(self.dtype)
        labels = self.labels.gather(1, known).masked_fill(~drawn, 0)
        self.network.zero_grad(set_to_none=True)
        batch = Batch(indices, self.epoch[step], self.done[step], step, self.seeds)
        losses, logits = self.objective.backward(self.network, features, labels, batch)
        self.adam.step(self.rates[step])
        hits = ((logits.argmax(-1) == labels) & drawn).sum(1)
        return losses.float(), hits / drawn.sum(1).clamp_min(1)

    def _record(self, step: int, losses: Tensor, accuracy: Tensor) -> str:
        """Note the epoch in the history, stop models whose validation loss no longer falls; returns a progress note."""
        if not torch.isfinite(losses).all():
            raise MiaError(
                f"the loss of model {int((~torch.isfinite(losses)).nonzero()[0])} is not finite at step {step}"
            )
        epoch = step / self.steps_per_epoch
        rare = self.test is not None and (step == int(self.steps.max()) or (step // self.epoch_steps) % 5 == 0)
        tested = self._accuracy(self.test) if rare else [float("nan")] * len(self.steps)
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
        longest, size = max(map(len, sets)), max(self.config.batch_size, 64)
        padded = np.stack([np.resize(i, longest) for i in sets])
        lengths = torch.tensor([len(i) for i in sets], device=self.device)
        for start in range(0, longest, size):
            indices = torch.from_numpy(padded[:, start : start + size].astype(np.int64)).to(self.device)
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
        tensors = {f"network.{n}": t for n, t in self.network.state_dict().items()}
        tensors |= {f"adam.{n}": t for n, t in self.adam.tensors().items()}
        tensors |= {f"objective.{n}": t for n, t in self.objective.tensors().items()}
        for group, kept in (("finished", self.finished), ("best", self.best_weights)):
            tensors |= {f"{group}.{k}.{n}": t for k, weights in kept.items() for n, t in weights.items()}
        about = dict(step=step, seconds=seconds, history=self.history, fingerprint=self.fingerprint)
        about |= dict(best=self.best.tolist(), waited=self.waited.tolist())
        temporary = path.with_suffix(".tmp")
        save_file({n: t.cpu().contiguous() for n, t in tensors.items()}, temporary, {"about": json.dumps(about)})
        temporary.replace(path)

    def _restore(self, path: Path | None) -> tuple[int, float]:
        """Continue from a checkpoint of the same run; returns its step and the seconds spent, or zeros."""
        if path is None or not path.exists():
            return 0, 0.0
        try:
            with safe_open(path, "pt", device=str(self.device)) as file:
                about = json.loads(file.metadata()["about"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except Exception:  # a damaged checkpoint only costs the time to train again
            return 0, 0.0
        if about["fingerprint"] != self.fingerprint:
            return 0, 0.0
        self.network.load_state_dict({n[8:]: t for n, t in tensors.items() if n.startswith("network.")})
        for name, tensor in self.adam.tensors().items():
            tensor.copy_(tensors[f"adam.{name}"])
        self.objective.restore({n[10:]: t for n, t in tensors.items() if n.startswith("objective.")})
        for group, kept in (("finished", self.finished), ("best", self.best_weights)):
            for name, tensor in tensors.items():
                if name.startswith(f"{group}."):
                    k, _, rest = name[len(group) + 1 :].partition(".")
                    kept.setdefault(int(k), {})[rest] = tensor
        self.history, self.best = about["history"], np.array(about["best"])
        self.waited = np.array(about["waited"])
        return about["step"], about["seconds"]
