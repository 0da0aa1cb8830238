"""Runs the series: checks everything first, then executes notebook after notebook into `outputs/<run-id>/`."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mia_lib.series.kernel import CellFailure, execute
from mia_lib.series.notebooks import NOTEBOOKS, PARAMETERS, Notebook, check_parameters, find_notebooks, needed, select
from mia_lib.series.provenance import merge_results, write_run
from mia_lib.support.cache import Cache
from mia_lib.support.console import INDENT, Console
from mia_lib.support.digests import digest
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.files import read_json, write_atomically
from mia_lib.support.progress import duration
from mia_lib.support.settings import Settings, resolve
from mia_lib.support.source import whole_digest


@dataclass(frozen=True)
class Run:
    """One checked request: where it goes, what the notebooks are given, and the settings that this amounts to."""

    folder: Path
    parameters: dict
    settings: Settings
    download: bool
    notebooks: list[Notebook]
    chosen: list[Notebook]


@dataclass
class Outcome:
    """What became of the chosen notebooks, by name."""

    failed: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)


def run_series(
    profile: str = "standard",
    corpus: str = "demo",
    seed: int = 0,
    device: str = "auto",
    outputs: str | Path = "outputs",
    run_id: str | None = None,
    only: str | None = None,
    overrides: dict | None = None,
    data_root: str | Path | None = None,
    download: bool = False,
    max_bad: float = 0.05,
    notebooks: Path = NOTEBOOKS,
    prepare: Callable[[Run], dict] | None = None,
    console: Console | None = None,
) -> Path:
    """Execute the notebooks with these parameters and return the run's folder; what is done already is not repeated.

    only: numbers of the notebooks to run, as in `04,07`. overrides: settings that differ from the profile's. notebooks:
    folder of the series. prepare: reads the data before any notebook starts and returns its description (None: the
    corpus named above). Raises UsageError before anything starts, and MiaError when data or a notebook fails.
    """
    console = console or Console()
    request = dict(corpus=corpus, profile=profile, seed=seed, device=device, max_bad=max_bad)
    run = check(request, outputs, run_id, only, overrides or {}, data_root, download, Path(notebooks))
    started = time.monotonic()
    with _environment(data_root), _locked(run.folder):
        _refuse_other_parameters(run)
        console.say(f"Run {run.folder.name} in {run.folder}")
        with console.follow():
            data = (prepare or prepare_data)(run)
        _announce(data, time.monotonic() - started, console)
        waiting = [notebook for notebook in run.chosen if not _done(notebook, run, data)]
        if prepare is None and waiting:
            _forecast(run, waiting, console)
        header = {"parameters": run.parameters, "settings": run.settings.asdict(), "data": data}
        _record(run.folder, header)
        outcome = _run_notebooks(run, header, console)
    console.say(f"Report: {run.folder / 'index.html'} ({duration(time.monotonic() - started)})")
    if outcome.failed:
        rest = f"; not run: {', '.join(outcome.stopped)}" if outcome.stopped else ""
        again = "the same command continues here once this is mended"
        raise MiaError(f"{len(outcome.failed)} notebook(s) failed: {', '.join(outcome.failed)}{rest}; {again}")
    return run.folder


def check(
    request: dict,
    outputs: str | Path,
    run_id: str | None,
    only: str | None,
    overrides: dict,
    data_root: str | Path | None,
    download: bool,
    notebooks: Path,
) -> Run:
    """The checked run; nothing is executed and nothing written. Raises UsageError or MiaError at the first fault."""
    from mia_lib.corpora import open_corpus

    _check_values(request)
    kind, _, place = request["corpus"].partition(":")
    if kind == "folder" and place:
        request = request | {"corpus": f"folder:{Path(place).expanduser().resolve()}"}
    settings = resolve(request["profile"], request["corpus"], overrides)
    _check_names(overrides)
    open_corpus(request["corpus"], data_root, request["seed"], download)
    _check_device(request["device"])
    overrides = {name: settings.asdict()[name] for name in sorted(overrides)}
    outputs = Path(outputs).expanduser().resolve()
    folder = outputs / _run_id(run_id, request, overrides)
    found = find_notebooks(notebooks)
    chosen = select(found, only)
    for notebook in chosen:
        check_parameters(notebook)
    parameters = request | {
        "outputs": str(outputs),
        "run_id": folder.name,
        "data_root": str(Path(data_root).expanduser().resolve()) if data_root else "",
        "settings": overrides,
    }
    return Run(folder, parameters, settings, download, found, chosen)


def _check_values(request: dict) -> None:
    """Refuse values of a wrong type or out of range; argparse sees to types only on the command line."""
    for name, value in request.items():
        if not isinstance(value, PARAMETERS[name]) or isinstance(value, bool):
            raise UsageError(f"parameter {name!r} must be of type {PARAMETERS[name].__name__}, not {value!r}")
    if not 0 <= request["seed"] < 2**32:
        raise UsageError(f"the seed must be from 0 to {2**32 - 1}, not {request['seed']}")
    if not 0 <= request["max_bad"] <= 1:
        raise UsageError(f"--max-bad must be a share from 0 to 1, not {request['max_bad']}")


def _check_names(overrides: dict) -> None:
    """Refuse an unknown feature or model (settings that name things elsewhere)."""
    if "feature" in overrides:
        from mia_lib.features import FEATURES

        FEATURES.get(overrides["feature"])
    if "model" in overrides:
        from mia_lib.models import MODELS

        MODELS.get(overrides["model"])


def _check_device(device: str) -> None:
    """Refuse a device that does not exist, without loading torch where that is not needed."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise UsageError(f"unknown device {device!r}: choose one of auto, cpu, cuda, cuda:N")
    if device.startswith("cuda"):
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(device.partition(":")[2] or 0) >= count:
            raise MiaError(f"device {device!r} is not there ({count} CUDA devices found): use --device cpu or auto")


def _run_id(run_id: str | None, request: dict, overrides: dict) -> str:
    """The folder name of the run: as asked for, or made from what was asked."""
    if run_id is not None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", run_id) or run_id.lower() == "cache":
            raise UsageError(
                f"--run-id {run_id!r} cannot name a folder: use letters, digits, '.', '-', '_' (not 'cache')"
            )
        return run_id
    kind, _, place = request["corpus"].partition(":")
    path = kind == "folder"
    slug = re.sub(r"[^A-Za-z0-9]+", "-", f"{kind}-{Path(place).name if path else place}").strip("-")[:60]
    name = f"{slug}-{request['profile']}-s{request['seed']}"
    return f"{name}-{digest([request['corpus'], overrides])[:8]}" if path or overrides else name


def _refuse_other_parameters(run: Run) -> None:
    """Two different runs must not share a folder."""
    made_with = read_json(run.folder / "run.json", {}).get("parameters", run.parameters)
    for name, value in run.parameters.items():
        if made_with.get(name) != value and name != "outputs":
            raise UsageError(
                f"{run.folder} was made with {name} = {made_with.get(name)!r}, not {value!r}: choose another --run-id"
            )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the run's folder; the operating system lets go of it should this process die."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise MiaError(f"another process is working in {folder}: wait for it, or choose another --run-id") from None
    except OSError as error:
        raise MiaError(f"cannot write to the outputs folder {folder.parent}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _environment(data_root: str | Path | None) -> Iterator[None]:
    """What every kernel finds: local corpora where this process sees them, and no chatter about coming changes."""
    before = dict(os.environ)
    root = data_root or os.environ.get("MIA_DATA_ROOT") or "data"
    os.environ["MIA_DATA_ROOT"] = str(Path(root).expanduser().resolve())
    os.environ.setdefault("PYTHONWARNINGS", "ignore::DeprecationWarning,ignore::FutureWarning")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def prepare_data(run: Run) -> dict:
    """Read the corpus into fragments (a cached stage); returns the fragments' report and the hash of the data."""
    from mia_lib.corpora import open_corpus
    from mia_lib.fragments.cutting import make_fragments

    parameters = run.parameters
    corpus = open_corpus(parameters["corpus"], parameters["data_root"] or None, parameters["seed"], run.download)
    cache = Cache(Path(parameters["outputs"]) / "cache")
    fragments = make_fragments(corpus, cache, run.settings, parameters["seed"], parameters["max_bad"])
    return fragments.report | {"data_hash": fragments.key}


def _announce(data: dict, seconds: float, console: Console) -> None:
    """Say what the data are, and what was left out or altered."""
    counts = {name: f"{data.get(name, 0):,}" for name in ("utterances", "bad", "speakers", "fragments")}
    text = "Data: {utterances} recordings ({bad} skipped), {speakers} speakers, {fragments} fragments".format(**counts)
    console.say(f"{text} in {duration(seconds)}")
    notes = ("resampled", "mixed_down", "clipped", "capped", "padded", "dropped_short", "speakers_dropped")
    altered = [f"{name.replace('_', ' ')} {data[name]:,}" for name in notes if data.get(name)]
    if altered:
        console.say(f"{INDENT}{', '.join(altered)}")
    for reason in data.get("bad_examples", [])[:5]:
        console.say(f"{INDENT}skipped: {reason}")


def _forecast(run: Run, notebooks: list[Notebook], console: Console) -> None:
    """Say how long the notebooks will take here."""
    from mia_lib.studies import cost
    from mia_lib.studies.dataset import Dataset
    from mia_lib.studies.shadow import ShadowStudy

    names = ("corpus", "profile", "seed", "device", "outputs", "data_root", "settings", "max_bad")
    try:
        with console.follow():
            seconds = cost.seconds(ShadowStudy(Dataset(**{name: run.parameters[name] for name in names})), notebooks)
    except MiaError:
        return  # data that some notebook cannot use: that one will say so
    console.say(f"Expected: about {duration(seconds)} on this machine")


def _done(notebook: Notebook, run: Run, data: dict) -> bool:
    """Whether the run has executed the notebook as it is now, on these data."""
    state = read_json(run.folder / "parts" / notebook.name / "state.json", {})
    return (run.folder / f"{notebook.name}.ipynb").exists() and state.get("key") == _key(notebook, run, data)


def _run_notebooks(run: Run, header: dict, console: Console) -> Outcome:
    """Execute the chosen notebooks in their order; the records and the report are renewed after each."""
    outcome = Outcome()
    for position, notebook in enumerate(run.chosen, start=1):
        title = f"[{position}/{len(run.chosen)}] {notebook.name}"
        blocked = needed(notebook.name, run.notebooks) & {*outcome.failed, *outcome.stopped}
        key = _key(notebook, run, header["data"])
        state_file = run.folder / "parts" / notebook.name / "state.json"
        if blocked:
            console.say(f"{title}: not run, it needs {', '.join(sorted(blocked))}")
            outcome.stopped.append(notebook.name)
        elif _done(notebook, run, header["data"]):
            console.say(f"{title}: done before")
        else:
            console.say(title)
            started = time.monotonic()
            try:
                execute(notebook, run.folder, run.parameters, console)
            except CellFailure as failure:
                console.say(str(failure))
                outcome.failed.append(notebook.name)
            else:
                seconds = round(time.monotonic() - started, 2)
                state_file.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(state_file, f'{{"key": "{key}", "seconds": {seconds}}}')
                console.say(f"{INDENT}done in {duration(seconds)}")
            _record(run.folder, header)
    return outcome


def _key(notebook: Notebook, run: Run, data: dict) -> str:
    """Changes whenever the notebook, its parameters, its data or any code of mia_lib does."""
    return digest([notebook.content, run.parameters, data.get("data_hash"), whole_digest()])


def _record(run_folder: Path, header: dict) -> None:
    from mia_lib.reporting.page import write_report

    merge_results(run_folder)
    write_run(run_folder, header)
    write_report(run_folder)
