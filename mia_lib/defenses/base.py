"""What every defense looks like: it changes how a stack is trained, or what its models answer, or both.

A defense only describes what is different about the training; `mia_lib.training` carries that out (see `Recipe` there).
A defense has a name, and one number that says how strong it is: `relaxloss:0.5`. Several act together as
`dmp:2+spec_augment:0.4+top_k:3`: all that alter what models hear, one more that changes the training, and any that change
the answers; these follow each other.
"""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import torch

from mia_lib.support.errors import UsageError
from mia_lib.support.registry import Registry
from mia_lib.training.batch import Alteration
from mia_lib.training.job import Job
from mia_lib.training.lesson import Lesson
from mia_lib.training.objective import Objective
from mia_lib.training.trained import TrainedModels

DEFENSES = Registry("defense", "mia_lib.defenses")
FAMILIES = ("obfuscation", "regularisation", "distillation", "adversarial", "privacy")
"""Defenses of one family are swept and compared in one notebook."""


@dataclass(frozen=True)
class Answers:
    """What an output defense works on: the models' own answers to some fragments, and what their owner knows."""

    logits: np.ndarray  # float32 [models, n, classes], -inf for classes that a model does not have
    job: Job  # what the models were trained on: features, labels, train, reference ...
    models: TrainedModels
    own: np.ndarray | None = None  # the undefended logits [models, N, classes] of every fragment of the job


class Defense:
    """No defense: trained by cross-entropy, every posterior given out."""

    family = ""
    """One of FAMILIES."""
    of_paper = False
    """Whether arXiv 1911.01888 or its authors' code names it."""
    strengths: tuple[float, ...] = ()
    """Values of `strength` worth sweeping, weakest first."""
    default: float | None = None
    """The strength used when none is given."""
    bounds: tuple[float, float] | None = None
    """The smallest and the largest strength that make sense; None where there is nothing to set."""
    whole = False
    """Whether the strength must be a whole number."""
    finite = True
    """Whether an infinite strength makes no sense."""
    trains = False
    """Whether the models differ from undefended ones."""
    alters = False
    """Whether the answers differ from what the models say."""
    keeps_argmax = False
    """Of one that alters answers: whether the answered speaker is always the one that the model would have said."""
    mixes_strengths = True
    """Whether models of several strengths can be trained as one stack."""
    cost = 1.0
    """Time that training takes, in times of an undefended model's, as measured."""
    memory = 1.0
    """Memory that training takes, in times of an undefended model's."""
    needs_reference = False
    """Whether `Job.reference` is used."""
    needs_augmented = False
    """Whether `Job.augmented` is used."""
    needs_public = False
    """Whether `Job.public` is used."""

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if cls.family not in ("", *FAMILIES):
            raise ValueError(
                f"{cls.__name__} is of the unknown family {cls.family!r}: choose one of {', '.join(FAMILIES)}"
            )

    def __init__(self, strength: float | Sequence[float] | None = None):
        """strength: one number, or one for each model of the job, so that a whole sweep is trained as one stack.

        Raises UsageError for a strength outside `bounds`.
        """
        self.strength = self.default if strength is None else strength
        if strength is None:
            return
        values = np.atleast_1d(np.asarray(strength, dtype=np.float64))
        if self.bounds is None or not values.size:
            raise UsageError(f"there is no strength to set, but {strength} was given")
        low, high = self.bounds
        for value in values.tolist():
            if not self._makes_sense(value, low, high):
                span = f"of at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
                kind = "whole number" if self.whole else "number"
                raise UsageError(f"the strength must be a {kind} {span}, not {value:g}")

    def _makes_sense(self, value: float, low: float, high: float) -> bool:
        if math.isinf(value):
            return not self.finite and value == high
        return low <= value <= high and not (self.whole and value % 1)

    @property
    def varies(self) -> bool:
        """Whether each model has a strength of its own."""
        return self.strength is not None and np.ndim(self.strength) > 0

    def one_strength(self) -> float:
        """The strength that all models share. Raises UsageError where each has its own."""
        if self.varies:
            raise UsageError(f"one strength is needed for all models of a stack, not {self.strength}")
        return float(np.asarray(self.strength, dtype=np.float64))

    def strength_of(self, job: Job) -> torch.Tensor:
        """The strength of each model of a job: [models], of its dtype and on its device."""
        values, models = np.atleast_1d(np.asarray(self.strength, dtype=np.float64)), len(job.train)
        if values.shape not in ((1,), (models,)):
            raise UsageError(f"{models} models need one strength, or one each, not {len(values)}")
        return torch.as_tensor(np.broadcast_to(values, models).copy(), dtype=job.dtype, device=job.device)

    def part(self, models: Sequence[int]) -> "Defense":
        """The defense of some of the models of a job."""
        if not self.varies:
            return self
        other = copy(self)
        other.strength = np.asarray(self.strength, dtype=np.float64)[list(models)].tolist()
        return other

    @classmethod
    def mixed(cls, defenses: "Sequence[Defense]") -> "Defense":
        """Defenses of this kind, one for each model of a job, as one."""
        if len({defense.strength for defense in defenses}) == 1:
            return defenses[0]
        return cls([defense.one_strength() for defense in defenses])

    def changed(self, job: Job) -> Job:
        """What the models train on and how, given what undefended models would."""
        return job

    def objective(self, job: Job) -> Objective:
        """What training on the changed job minimises; where there is a lesson, training of its teachers."""
        return Objective()

    def lesson(self, job: Job) -> Lesson | None:
        """What takes the place of training on the changed job, where the models are students of teachers."""
        return None

    def finished(self, models: TrainedModels) -> TrainedModels:
        """What becomes of the models once they are trained."""
        return models

    def answer(self, answers: Answers) -> np.ndarray:
        """The logits that are given out, float32 [models, n, classes]; log posteriors where posteriors are changed.

        Every fragment is answered by itself: an answer does not depend on which others are asked about.
        """
        return answers.logits


class InputDefense(Defense):
    """A defense that alters what the models hear while they train; acts together with any other way to train."""

    trains = True

    def alteration(self, strength: torch.Tensor, job: Job) -> Alteration:
        """What is done to the features of every batch; strength: [models], or [1] for all."""
        raise NotImplementedError

    def changed(self, job: Job) -> Job:
        """The job with this defense's alteration as its last."""
        strengths = self.strength_of(job)
        alteration = self.alteration(strengths if self.varies else strengths[:1], job)
        return replace(job, alterations=(*job.alterations, alteration))


class Combined(Defense):
    """Several defenses at once: alterations in the order of the name, then the one other way to train."""

    def __init__(self, parts: Sequence[Defense]):
        super().__init__()
        self.parts = list(parts)
        self.alterations = [part for part in parts if isinstance(part, InputDefense)]
        ways = [part for part in parts if part.trains and part not in self.alterations]
        self.way = ways[0] if ways else Defense()
        if len(ways) > 1:
            raise UsageError(
                "only one defense of a combination may change the training, beside those that alter what models hear: "
                + ", ".join(name for name in DEFENSES.names() if issubclass(DEFENSES.get(name), InputDefense))
            )
        self.trains, self.alters = any(p.trains for p in parts), any(p.alters for p in parts)
        self.keeps_argmax = all(p.keeps_argmax for p in parts if p.alters)
        self.needs_reference = any(p.needs_reference for p in parts)
        self.needs_augmented = any(p.needs_augmented for p in parts)
        self.needs_public = any(p.needs_public for p in parts)
        self.mixes_strengths = all(p.mixes_strengths for p in parts)
        self.memory, self.cost = (math.prod(getattr(p, name) for p in parts) for name in ("memory", "cost"))

    def part(self, models: Sequence[int]) -> "Defense":
        return Combined([part.part(models) for part in self.parts])

    @classmethod
    def mixed(cls, defenses: "Sequence[Defense]") -> "Defense":
        combined = [defense for defense in defenses if isinstance(defense, Combined)]
        assert len(combined) == len(defenses), "only combinations of the same kinds are mixed"
        columns = zip(*(defense.parts for defense in combined), strict=True)
        return cls([type(column[0]).mixed(column) for column in columns])

    def changed(self, job: Job) -> Job:
        for part in (*self.alterations, self.way):
            job = part.changed(job)
        return job

    def objective(self, job: Job) -> Objective:
        return self.way.objective(job)

    def lesson(self, job: Job) -> Lesson | None:
        return self.way.lesson(job)

    def finished(self, models: TrainedModels) -> TrainedModels:
        return self.way.finished(models)

    def answer(self, answers: Answers) -> np.ndarray:
        for part in self.parts:
            answers = Answers(part.answer(answers), answers.job, answers.models, answers.own)
        return answers.logits


def make_defense(name: str) -> Defense:
    """The defense that a name such as `top_k:3` or `relaxloss:0.5+top_k:1` describes; `none` is the absence of one.

    Raises UsageError for unknown names and strengths that are not numbers.
    """
    if name == "none":
        return Defense()
    parts = []
    for word in name.split("+"):
        kind, colon, strength = word.strip().partition(":")
        defense = DEFENSES.get(kind)
        try:
            parts.append(defense(float(strength) if colon else None))
        except ValueError:
            raise UsageError(f"the strength of defense {kind!r} must be a number, not {strength!r}") from None
        except UsageError as error:
            raise UsageError(f"defense {kind!r}: {error}") from None
    return parts[0] if len(parts) == 1 else Combined(parts)


def training_part(name: str) -> str:
    """The part of a defense's name that changes the training; models are the same whatever else is in it."""
    words = [word.strip() for word in name.split("+")]
    return "+".join(word for word in words if make_defense(word).trains) or "none"


def defense_kinds(name: str) -> list[type[Defense]]:
    """The classes that a defense's name looks up, for the keys of what they decide."""
    return [DEFENSES.get(word.strip().partition(":")[0]) for word in name.split("+")] if name != "none" else []
