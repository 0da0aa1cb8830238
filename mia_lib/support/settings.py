"""Every knob of an experiment, its type, and the three profiles that set them."""

import dataclasses
from dataclasses import dataclass, field

from mia_lib.support.errors import UsageError, brief

MIN_SOURCES = 4  # a speaker with fewer usable source utterances cannot be split into members and non-members
MIN_SPEAKERS = 8  # fewer cannot be split between target, shadows and outsiders
MOST = 1_000_000  # of what has no smaller bound of its own: nothing is that large


def setting(
    default, text: str, least: float | None = None, most: float = MOST, some: int = 0, choices: tuple[str, ...] = ()
):
    """A field of `Settings`: what it means (`text`), and its smallest and largest value, or its choices, if it has any.

    some: the smallest value beside 0, where 0 stands for all.
    """
    return field(
        default=default, metadata={"text": text, "least": least, "most": most, "some": some, "choices": choices}
    )


@dataclass(frozen=True)
class Settings:
    """The size and shape of one experiment. Changed on the command line by `--set name=value`."""

    max_speakers: int = setting(
        0, "use at most this many speakers, chosen by seed (0: all)", least=0, some=MIN_SPEAKERS
    )
    max_utterances: int = setting(
        0, "use at most this many source utterances of each speaker (0: all)", least=0, some=MIN_SOURCES
    )
    fragment_seconds: float = setting(3.0, "length of a fragment", least=0.1, most=60)
    fragment_hop_seconds: float = setting(
        1.5, "from the start of one fragment to the next; below fragment_seconds they overlap", least=0.01, most=60
    )
    short_utterances: str = setting(
        "pad",
        'utterances of half a fragment to one fragment: "pad" (repeat the signal) or "drop"',
        choices=("pad", "drop"),
    )
    feature: str = setting("mfcc", "what the model reads, also encoder:NAME_OR_FILE; `list` names them")
    hop: int = setting(512, "samples between two frames of the feature", least=1, most=16_000)
    model: str = setting("paper_mfcc", "the architecture; `list` names them")
    split: str = setting(
        "proportional", 'or "lab41": the paper\'s own LibriSpeech split', choices=("proportional", "lab41")
    )
    train_fraction: float = setting(
        0.5, "share of each training speaker's utterances that the model trains on", least=0.01
    )
    repeats: int = setting(
        3, "independent speaker splits, each with a target and shadows; all trained in one stack", least=1, most=1_000
    )
    n_shadows: int = setting(2, "shadow models per target", least=1, most=1_000)
    n_references: int = setting(
        16, "reference models on the target's speakers, for attacks that calibrate per fragment", least=4, most=10_000
    )
    query_fragments: int = setting(
        600, "about so many, in whole recordings, for attacks that ask several times about each", least=100
    )
    defense_references: int = setting(8, "reference models behind each defense that is judged", least=3, most=10_000)
    defense_speakers: int = setting(30, "speakers that those know (0: all)", least=0, some=2)
    public_speakers: int = setting(
        80,
        "synthetic voices of a public network, for private training that begins from one",
        least=MIN_SPEAKERS,
        most=9_999,
    )
    public_utterances: int = setting(15, "sentences of each of those voices", least=MIN_SOURCES, most=999)
    epochs: int = setting(20, "of the target and the reference models", least=1, most=10_000)
    shadow_epochs: int = setting(20, "of the shadows", least=1, most=10_000)
    batch_size: int = setting(32, "fragments in one step of each model", least=2, most=4_096)
    learning_rate: float = setting(1e-3, "of Adam", least=0.0, most=1.0)
    schedule: str = setting(
        "cosine",
        'learning rate falls to zero, so that no model ends in a burst of loss; or "constant"',
        choices=("constant", "cosine"),
    )
    patience: int = setting(
        0, "stop a model after this many epochs without a lower validation loss (0: never)", least=0
    )
    bootstrap: int = setting(1000, "resamples behind each interval", least=1, most=100_000)

    def asdict(self) -> dict:
        return dataclasses.asdict(self)


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
        public_speakers=24,
        public_utterances=6,
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


def declared_type(known: dataclasses.Field) -> type:
    """The type that a dataclass declares for a field, which must not be written as text."""
    assert isinstance(known.type, type), known.name
    return known.type


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
    raise UsageError(f"parameter {name!r} must be of type {kind.__name__}, not {brief(value)}")


def _checked(known: dataclasses.Field, value):
    """`value` with the type of a setting; raises UsageError unless it has that type and lies within the bounds."""
    name, least, choices = known.name, known.metadata["least"], known.metadata["choices"]
    value = _typed(name, value, declared_type(known))
    if choices and value not in choices:
        raise UsageError(f"parameter {name!r} must be one of {', '.join(choices)}, not {value!r}")
    if least is not None and not least <= value < float("inf"):
        raise UsageError(f"parameter {name!r} must be at least {least}, not {value}")
    if least is not None and value > known.metadata["most"]:
        raise UsageError(f"parameter {name!r} must be at most {known.metadata['most']}, not {value}")
    if least is not None and 0 < value < known.metadata["some"]:
        raise UsageError(f"parameter {name!r} must be at least {known.metadata['some']}, or 0 for all, not {value}")
    return value


def resolve(profile: str = "standard", corpus: str = "demo", overrides: dict | None = None) -> Settings:
    """The settings of `profile` for `corpus` with `overrides` applied; raises UsageError for unknown or ill-typed ones."""
    if profile not in PROFILES:
        raise UsageError(f"unknown profile {profile!r}: choose one of {', '.join(PROFILES)}")
    known = {one.name: one for one in dataclasses.fields(Settings)}
    values = dict(PROFILES[profile])
    if profile == "paper" and corpus.partition(":")[0] == "librispeech":
        values["split"] = "lab41"
    for name, value in (overrides or {}).items():
        if name not in known:
            raise UsageError(f"unknown parameter {name!r}: choose one of {', '.join(known)}")
        values[name] = _checked(known[name], value)
    if not values.get("train_fraction", 0.5) < 1:
        raise UsageError(f"parameter 'train_fraction' must be below 1, not {values['train_fraction']}")
    return Settings(**values)
