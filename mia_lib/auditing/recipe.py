"""Evidence from a training recipe: reference models trained on coin-flip halves of the auditor's own recordings.

With them the attacks that calibrate run (LiRA, RMIA). Each model is trained in a process of its own, since recipes that seed
torch or NumPy seed the whole process; what each one answers is kept, so that an interrupted audit goes on model by model.
"""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mia_lib.auditing.altered import COPIES, affordable, altered_answers, check_copies
from mia_lib.auditing.asking import Asked, answers, try_out
from mia_lib.auditing.classes import Classes, check_width, read_classes
from mia_lib.auditing.coins import check_coins
from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.material import Material, material
from mia_lib.auditing.recordings import asked_about, assembled, check_options, choose_protocol, guessed_kind, some_rows
from mia_lib.auditing.served import Here, opened
from mia_lib.features.foreign.models import named, of_function, one_line
from mia_lib.support.cache import Cache
from mia_lib.support.cores import side_by_side
from mia_lib.support.draws import generator, seeds
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.executor import CarryOut, Executor
from mia_lib.support.executor import Here as ThisProcess
from mia_lib.support.executors import make_executor
from mia_lib.support.limits import cores
from mia_lib.support.progress import progress
from mia_lib.support.typed import TYPED
from mia_lib.support.variables import variable

ANSWERS, FAILED = "answers.npy", "failed.json"
FEWEST = 2  # reference models

Recipe = Callable[[Sequence[np.ndarray], np.ndarray, int], Any]
"""From recordings, labels [n] and a seed to a callable from waveforms float32 [B, T] at 16 kHz to answers [B, C]."""


class Recordings(Sequence):
    """What a recipe is given to train on: whole recordings, float32 [T] in [-1, 1] at 16 kHz, read when asked for.

    classes: names of all C speakers, in the order of the answers that are expected, also of those of whom none is here.
    """

    def __init__(self, heard: Material, which: np.ndarray, classes: Sequence[str]):
        self.classes, self._sounds, self._which = tuple(classes), heard.sounds, heard.heard[which]

    def __len__(self) -> int:
        return len(self._which)

    def __getitem__(self, i):
        return self._sounds[self._which[i]].astype(np.float32) / 32768


@dataclass(frozen=True)
class Training:
    """What all models of one audit are trained on and asked about. recipe: a name or a function. copies: altered versions of
    each row that they are asked about too. seconds_per_call: time limit of one answer. root: of the cache."""

    recipe: Any
    called: str
    heard: Material
    classes: Classes
    embeddings: bool
    copies: int
    seconds_per_call: float
    root: Path
    seed: int

    def heads(self, k: int) -> np.ndarray:
        """Whether model k trains on each recording, by independent fair coins: bool [R]."""
        return (
            generator(self.seed, "recordings that a reference model of an audit trains on", k).random(
                len(self.heard.table)
            )
            < 0.5
        )

    def answered(self, k: int, carry_out: CarryOut) -> tuple[np.ndarray, dict[int, str]]:
        """What model k answers to all rows and their copies, float [1 + Q, N, C], and by row why not; it is trained and
        asked once, and its answers are kept."""
        function = named(self.recipe) if isinstance(self.recipe, str) else self.recipe
        params = {"recordings": self.heard.key, "rows": [self.heard.audio.wanted, len(self.heard.audio)], "model": k}
        params |= {"seed": self.seed, "recipe": self.called, "classes": self.classes.index}
        params |= {"copies": self.copies, "seconds per call": self.seconds_per_call}

        def build(folder: Path, _scratch: Path) -> None:
            given, failed = carry_out(train_and_ask, (self, k))
            np.save(folder / ANSWERS, given, allow_pickle=False)
            (folder / FAILED).write_text(json.dumps(failed), encoding="utf-8")

        folder = Cache(self.root).stage("audited-model", params, build, [function])
        failed = json.loads((folder / FAILED).read_text(encoding="utf-8"))
        return np.load(folder / ANSWERS, allow_pickle=False), {int(row): why for row, why in failed.items()}

    def asked(self, k: int) -> tuple[np.ndarray, dict[int, str]]:
        """The same, trained and asked here and now."""
        recipe = named(self.recipe) if isinstance(self.recipe, str) else self.recipe
        heard, name = self.heard, f"{self.called}, model {k}"
        model = Here(of_function(self._trained(recipe, k), name), self.seconds_per_call)
        width = try_out(model, heard.audio, some_rows(heard, self.seed))
        if not self.embeddings:
            check_width(self.classes, width, name)
        return self.with_copies(model, *answers(model, heard.audio, width, heard.column("name"), heard.spare))

    def with_copies(self, model: Asked, given: np.ndarray, failed: dict[int, str]) -> tuple[np.ndarray, dict[int, str]]:
        """A model's answers to all rows [N, C], with those to their copies, [1 + Q, N, C]; and by row why there are none."""
        altered, missing = altered_answers(model, self.heard, given.shape[1], self.copies, self.seed)
        return np.concatenate([given[None], altered]), missing | failed

    def _trained(self, recipe: Recipe, k: int) -> Any:
        which = np.flatnonzero(self.heads(k))
        labels = np.array([self.classes.index[name] for name in self.heard.table["speaker"].iloc[which]], np.int64)
        names = sorted(self.classes.index, key=self.classes.index.__getitem__)
        try:
            return recipe(
                Recordings(self.heard, which, names), labels, seeds(self.seed, "models of an audit", k + 1)[k]
            )
        except Exception as error:
            raise MiaError(
                f"{self.called}: training model {k} on {len(which)} recordings fails with {one_line(error)}"
            ) from error


def evidence_of_recipe(
    train: Any,
    members: Any,
    non_members: Any = None,
    *,
    model: Any = None,
    models: int = 16,
    classes: Any = None,
    gives: str | None = None,
    protocol: str | None = None,
    coins: bool = False,
    seconds: float = 3.0,
    max_bad: float = 0.05,
    seconds_per_call: float = 60.0,
    device: str = "cpu",
    copies: int = COPIES,
    outputs: str | os.PathLike = "outputs",
    seed: int = 0,
    executor: str = "",
) -> Evidence:
    """What a model answers about recordings, and what `models` reference models do that a recipe trained on halves of them.

    train: package.module:function, or a `Recipe`. model: the model under audit, with members and non_members as for
    `evidence_of_recordings`; without it one more model is trained on a half of all recordings and plays that part, so that
    its memberships are coins. outputs: the folder that holds the cache. executor: who trains the models, by name (see
    `support.executors`; empty: a worker process for each core). The other arguments are those of `evidence_of_recordings`.
    Raises UsageError or MiaError, one sentence.
    """
    check_options(gives, protocol, seconds_per_call)
    check_copies(copies)
    called = _check_recipe(train, models, model is None and non_members is not None)
    beside = nullcontext() if model is None else opened(model, device, seconds_per_call)
    with beside as audited:
        sided = audited is not None
        heard = material(members, non_members, sided=sided, seconds=seconds, max_bad=max_bad)
        known = _classes(classes, heard)
        copies = affordable(copies, gives, len(heard.audio), len(known.index), called, models + 1)
        root = Path(outputs) / "cache"
        training = Training(train, called, heard, known, gives == "embeddings", copies, seconds_per_call, root, seed)
        if audited is not None:
            protocol = choose_protocol(protocol, heard.table)
            if coins:
                check_coins(heard.table["member"].to_numpy())
            target = training.with_copies(audited, *asked_about(audited, heard, known, seed))
    answered = _all_answered(training, range(1 if sided else 0, models + 1), _executor(train, executor, models))
    name, (given, failed) = (audited.name, target) if audited is not None else (called, answered.pop(0))
    for _, missing in answered:
        failed = missing | failed
    kind = guessed_kind(gives, np.delete(given[0], list(failed), axis=0), known)
    heads = np.array([training.heads(k)[heard.of] for k in range(models + 1)], np.int8)
    references = _stacked([one for one, _ in answered], given, name)
    more: dict[str, Any] = {"reference_answers": references[0], "reference_member": heads[1:]}
    if copies:
        more |= {"copies": given[1:], "reference_copies": references[1:]}
    if sided:
        more |= {"coins": coins, "protocol": protocol}
    else:
        more |= {"coins": True, "protocol": "utterance", "member": heads[0]}
    return assembled(heard, name, kind, given[0], known, failed, **more)


def _check_recipe(train: Any, models: int, one_side_said: bool) -> str:
    """What a recipe is called; raises UsageError where it cannot be used, or where more is said than it leaves open."""
    if models < FEWEST:
        raise UsageError(f"--models must be at least {FEWEST}, not {models}: reference models on both sides are needed")
    if one_side_said:
        raise UsageError("--train decides by coins who is a member: leave --non-members out, or say --model")
    if not callable(named(train) if isinstance(train, str) else train):
        raise UsageError(f"{train} is no function of recordings, labels and a seed")
    return train if isinstance(train, str) else getattr(train, "__name__", type(train).__name__)


def _stacked(references: list[np.ndarray], given: np.ndarray, name: str) -> np.ndarray:
    """Answers of reference models, float [1 + Q, K, N, C]; raises MiaError where the audited model's have another width."""
    if (width := references[0].shape[-1]) != given.shape[-1]:
        raise MiaError(
            f"the model {name} gives {given.shape[-1]} numbers for a recording, and the recipe's models {width}"
        )
    return np.stack(references, axis=1)


def _classes(given: Any, heard: Material) -> Classes:
    """The classes that were named, or all speakers in the order of their names; raises MiaError for a speaker without one."""
    speakers = sorted(set(heard.table["speaker"]))
    if given is None:
        return Classes({name: i for i, name in enumerate(speakers)}, "the recordings", len(speakers))
    known = read_classes(given)
    if strangers := [name for name in speakers if name not in known.index]:
        raise MiaError(f"{known.called}: names no class for {strangers[0]!r}, of whom there are recordings to train on")
    return known


def train_and_ask(task: tuple[Training, int]) -> tuple[np.ndarray, dict[int, str]]:
    """What one model of an audit answers: the task of an executor."""
    training, k = task
    return training.asked(k)


def _executor(train: Any, name: str, models: int) -> Executor:
    """Whoever trains so many models: by name, or a worker process for each core; this process where no other can import the
    function."""
    movable = isinstance(train, str) or (
        getattr(train, "__module__", "__main__") not in TYPED and "<" not in getattr(train, "__qualname__", "<")
    )
    several = min(cores(), models)
    return make_executor(name or f"workers:{several}" if movable else "here")


def _all_answered(training: Training, numbers: range, executor: Executor) -> list[tuple[np.ndarray, dict[int, str]]]:
    at_once = 1 if isinstance(executor, ThisProcess) else executor.count  # recipes seed a whole process
    one_core_each = variable("OMP_NUM_THREADS", "1") if at_once != 1 else nullcontext()  # for processes started within
    with one_core_each, executor.session() as carry_out:

        def one(k: int) -> tuple[np.ndarray, dict[int, str]]:
            with progress(f"train {training.called}", 1, "model") as bar:
                found = training.answered(k, carry_out)
                bar.update()
            return found

        return side_by_side(one, numbers, workers=at_once)
