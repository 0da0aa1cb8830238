"""What a person can ask of a series: nine parameters, declared once, and what is refused before anything starts."""

import dataclasses
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field

from mia_lib.support.digests import digest
from mia_lib.support.errors import MiaError, UsageError, brief
from mia_lib.support.settings import Settings, declared_type, resolve

RANDOM_STATES = 2**32
"""Seeds that scikit-learn takes."""


@dataclass(frozen=True)
class Request:
    """The parameters of a run. Notebooks declare the same names and types, and a `Lab` takes them."""

    corpus: str = "demo"
    profile: str = "standard"
    seed: int = 0
    device: str = "auto"
    outputs: str = "outputs"
    run_id: str = ""  # the name of the run's folder; empty: made from the others
    data_root: str = ""  # folder of local corpora; empty: the variable MIA_DATA_ROOT, or data
    max_bad: float = 0.05  # tolerated share of unreadable recordings
    settings: dict = field(default_factory=dict)  # that differ from the profile's

    def asdict(self) -> dict:
        return dataclasses.asdict(self)

    def dataset(self) -> dict:
        """What a study of this request is made with: all but the name of the run."""
        return {name: value for name, value in self.asdict().items() if name != "run_id"}


PARAMETERS: dict[str, type] = {one.name: declared_type(one) for one in dataclasses.fields(Request)}
"""Names and types of the parameters."""


def largest_seed(settings: Settings) -> int:
    """The largest seed that works: model k of a stack is attacked with 1000 seed + k, which scikit-learn must take."""
    groups = settings.repeats * (1 + max(2, settings.n_shadows))
    models = max(groups, settings.n_references + 1, settings.defense_references + 1)
    return (RANDOM_STATES - models) // 1000


def check_types(request: Request) -> None:
    """Raise UsageError for a value of a wrong type."""
    for name, value in vars(request).items():
        kinds = (int, float) if PARAMETERS[name] is float else PARAMETERS[name]
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise UsageError(f"parameter {name!r} must be of type {PARAMETERS[name].__name__}, not {brief(value)}")


def check_values(request: Request) -> Settings:
    """The settings that a request amounts to. Raises UsageError for values of a wrong type or out of range."""
    check_types(request)
    settings = resolve(request.profile, request.corpus, request.settings)
    largest = largest_seed(settings)
    if not 0 <= request.seed <= largest:
        raise UsageError(f"the seed must be from 0 to {largest}, not {request.seed}")
    if not request.outputs.strip():
        raise UsageError("--outputs must name a folder: leave it out for 'outputs'")
    if not 0 <= request.max_bad <= 1:
        raise UsageError(f"--max-bad must be a share from 0 to 1, not {request.max_bad}")
    return settings


def check(request: Request, download: bool = False, within: str = "") -> tuple[Request, Settings]:
    """The request with absolute folders, typed settings and a name for its run, and all settings that it amounts to.

    within: the sweep that it is a part of, whose folder is around the run's.
    Nothing is executed and nothing written. Raises UsageError or MiaError at the first fault.
    """
    from mia_lib.corpora.base import CORPORA, open_corpus
    from mia_lib.corpora.found import kept

    settings = check_values(request)
    kind, _, place = request.corpus.partition(":")
    corpus = f"{kind}:{kept(_absolute(place))}" if place and CORPORA.get(kind).argument_is_path else request.corpus
    settings = _with_known_names(settings, request.settings)
    if {"fragment_seconds", "hop", "feature", "model"} & {*request.settings}:
        from mia_lib.studies.fitting import check_lengths

        check_lengths(settings)
    opened = open_corpus(corpus, request.data_root or None, request.seed, download)
    _check_split(settings, getattr(opened, "subsets", ()))
    _check_device(request.device)
    changed = {name: settings.asdict()[name] for name in sorted(request.settings)}
    data_root = kept(_absolute(request.data_root)) if request.data_root else ""
    outputs = _absolute(request.outputs)
    checked = dataclasses.replace(request, corpus=corpus, outputs=outputs, data_root=data_root, settings=changed)
    name = _run_id(checked)
    return dataclasses.replace(checked, run_id=f"{within}/{name}" if within else name), settings


def _absolute(path: str) -> str:
    from mia_lib.corpora.found import real

    return os.path.realpath(os.path.expanduser(real(path)))


def _with_known_names(settings: Settings, asked: Collection[str]) -> Settings:
    """The settings with the path of an encoder's file spelt out; refuses unknown names of features and models among those
    that were asked for."""
    if "feature" in asked:
        from mia_lib.features.named import absolute, feature_kinds

        feature_kinds(settings.feature)
        settings = dataclasses.replace(settings, feature=absolute(settings.feature))
    if "model" in asked:
        from mia_lib.models import MODELS

        MODELS.get(settings.model)
    return settings


def _check_split(settings: Settings, subsets: Collection[str]) -> None:
    """Refuse the paper's own split for other speakers than those that it divides."""
    if settings.split != "lab41":
        return
    if not {"train-clean-100", "test-clean"}.issubset(subsets):
        raise UsageError(
            "split=lab41 divides the speakers of LibriSpeech train-clean-100 and test-clean: use --corpus "
            "librispeech:train-clean-100+test-clean, or --set split=proportional"
        )
    if settings.max_speakers:
        raise UsageError(f"split=lab41 needs all speakers: use max_speakers=0, not {settings.max_speakers}")


def _check_device(device: str) -> None:
    """Refuse a device that does not exist, without loading torch where that is not needed."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise UsageError(f"unknown device {device!r}: choose one of auto, cpu, cuda, cuda:N")
    if device.startswith("cuda"):
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(device.partition(":")[2] or 0) >= count:
            raise MiaError(f"device {device!r} is not there ({count} CUDA devices found): use --device cpu or auto")


def check_name(name: str, option: str) -> str:
    """The name, which can be a folder's. Raises UsageError where it cannot."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or name.lower() == "cache":
        raise UsageError(f"{option} {name!r} cannot name a folder: use letters, digits, '.', '-', '_' (not 'cache')")
    return name


def _run_id(request: Request) -> str:
    """The folder name of the run: as asked for, or made from what was asked."""
    if request.run_id:
        return check_name(request.run_id, "--run-id")
    from mia_lib.corpora.base import short_name

    short = short_name(request.corpus)
    slug = re.sub(r"[^A-Za-z0-9]+", "-", short.replace(":", "-")).strip("-")[:60]
    name = f"{slug}-{request.profile}-s{request.seed}"
    told_apart = short != request.corpus or request.settings
    return f"{name}-{digest([request.corpus, request.settings])[:8]}" if told_apart else name
