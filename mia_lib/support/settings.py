"""Every knob of an experiment, its type, and the three profiles that set them."""

import dataclasses
import typing
from dataclasses import dataclass

from mia_lib.support.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """The size and shape of one experiment. Changed on the command line by `--set name=value`."""

    max_speakers: int = 0  # use at most this many speakers, chosen by seed (0: all)
    max_utterances: int = 0  # use at most this many source utterances of each speaker (0: all)
    fragment_seconds: float = 3.0  # length of a fragment
    fragment_hop_seconds: float = 1.5  # from the start of one fragment to the next; below fragment_seconds they overlap
    short_utterances: str = "pad"  # utterances of half a fragment to one fragment: "pad" (repeat the signal) or "drop"
    feature: str = "mfcc"  # what the model reads; `list` names them
    hop: int = 512  # samples between two frames of the feature
    model: str = "paper_mfcc"  # the architecture; `list` names them
    split: str = "proportional"  # or "lab41": the paper's own LibriSpeech split
    train_fraction: float = 0.5  # share of each training speaker's utterances that the model trains on
    repeats: int = 3  # independent speaker splits, each with a target and shadows; all trained in one stack
    n_shadows: int = 2  # shadow models per target
    n_references: int = 16  # reference models on the target's speakers, for attacks that calibrate per fragment
    query_fragments: int = 1000  # about so many, in whole recordings, for attacks that ask several times about each
    defense_references: int = 8  # reference models behind each defense that is judged
    defense_speakers: int = 30  # speakers that those know (0: all)
    epochs: int = 20  # of the target and the reference models
    shadow_epochs: int = 20  # of the shadows
    batch_size: int = 32  # fragments in one step of each model
    learning_rate: float = 1e-3  # of Adam
    schedule: str = "cosine"  # learning rate falls to zero, so that no model ends in a burst of loss; or "constant"
    patience: int = 0  # stop a model after this many epochs without a lower validation loss (0: never)
    bootstrap: int = 1000  # resamples behind each interval

    def asdict(self) -> dict:
        return dataclasses.asdict(self)


CHOICES = {"short_utterances": ("pad", "drop"), "split": ("proportional", "lab41"), "schedule": ("constant", "cosine")}
MINIMUM = {
    "max_speakers": 0,
    "max_utterances": 0,
    "fragment_seconds": 0.1,
    "fragment_hop_seconds": 0.01,
    "hop": 1,
    "train_fraction": 0.01,
    "repeats": 1,
    "n_shadows": 1,
    "n_references": 4,
    "defense_references": 3,
    "defense_speakers": 0,
    "query_fragments": 100,
    "epochs": 1,
    "shadow_epochs": 1,
    "batch_size": 2,
    "learning_rate": 0.0,
    "patience": 0,
    "bootstrap": 1,
}

PROFILES: dict[str, dict] = {
    "smoke": dict(
        max_speakers=32,
        max_utterances=8,
        repeats=1,
        n_shadows=2,
        n_references=4,
        defense_references=4,
        defense_speakers=16,
        query_fragments=200,
        epochs=12,
        shadow_epochs=12,
        bootstrap=200,
    ),
    "standard": {},
    "paper": dict(
        schedule="constant",
        fragment_hop_seconds=3.0,
        train_fraction=0.8,
        repeats=1,
        n_shadows=1,
        epochs=50,
        shadow_epochs=15,
    ),
}


def _typed(name: str, value, kind: type):
    """`value` as `kind`; strings come from the command line, everything else must have the type already."""
    try:
        if isinstance(value, str) and kind is not str:
            return kind(value)
    except ValueError:
        pass
    else:
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is kind:
            return value
    raise UsageError(f"parameter {name!r} must be of type {kind.__name__}, not {value!r}")


def resolve(profile: str = "standard", corpus: str = "demo", overrides: dict | None = None) -> Settings:
    """The settings of `profile` for `corpus` with `overrides` applied; raises UsageError for unknown or ill-typed ones."""
    if profile not in PROFILES:
        raise UsageError(f"unknown profile {profile!r}: choose one of {', '.join(PROFILES)}")
    kinds = typing.get_type_hints(Settings)
    values = dict(PROFILES[profile])
    if profile == "paper" and corpus.partition(":")[0] == "librispeech":
        values["split"] = "lab41"
    for name, value in (overrides or {}).items():
        if name not in kinds:
            raise UsageError(f"unknown parameter {name!r}: choose one of {', '.join(kinds)}")
        values[name] = value = _typed(name, value, kinds[name])
        if name in CHOICES and value not in CHOICES[name]:
            raise UsageError(f"parameter {name!r} must be one of {', '.join(CHOICES[name])}, not {value!r}")
        if name in MINIMUM and not MINIMUM[name] <= value < float("inf"):
            raise UsageError(f"parameter {name!r} must be at least {MINIMUM[name]}, not {value}")
    if not values.get("train_fraction", 0.5) < 1:
        raise UsageError(f"parameter 'train_fraction' must be below 1, not {values['train_fraction']}")
    return Settings(**values)
