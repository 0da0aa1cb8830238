"""Runs the series: checks everything first, then executes the notebooks into `outputs/<run-id>/`."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mia_lib.series.kernel import CellFailure, Kernels, execute
from mia_lib.series.lanes import in_lanes, lanes
from mia_lib.series.notebooks import NOTEBOOKS, Notebook, check_parameters, find_notebooks, needed, select
from mia_lib.series.nursery import nursery
from mia_lib.series.parts import Parts
from mia_lib.series.provenance import merge_claims, merge_results, write_run
from mia_lib.series.request import Request, check
from mia_lib.series.workplace import USES, environment, locked, put_aside, refuse_other_parameters
from mia_lib.support.console import INDENT, Console
from mia_lib.support.errors import MiaError
from mia_lib.support.executor import VARIABLE as EXECUTOR
from mia_lib.support.limits import CORES_VARIABLE
from mia_lib.support.progress import duration
from mia_lib.support.settings import Settings

if TYPE_CHECKING:
    from mia_lib.studies.cost import Forecast

BUSY = 1.25  # times as long as on an idle machine, from which on both are said
SELDOM = 20  # times as long as the pages took to renew they stay as they are, while notebooks come to their ends


@dataclass(frozen=True)
class Run:
    """One checked request, the settings that it amounts to, the notebooks of the series, and those to execute."""

    request: Request
    settings: Settings
    download: bool
    notebooks: list[Notebook]
    chosen: list[Notebook]

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        return Path(self.request.outputs) / self.request.run_id


@dataclass
class Outcome:
    """What became of the chosen notebooks, by name."""

    failed: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)


def run_series(
    request: Request,
    *,
    only: str | None = None,
    download: bool = False,
    notebooks: Path = NOTEBOOKS,
    prepare: Callable[[Run], dict] | None = None,
    console: Console | None = None,
    within: str = "",
    executor: str = "",
    cache: str = "",
) -> Path:
    """Execute the notebooks as requested and return the run's folder; what is done already is not repeated.

    only: numbers of the notebooks to run, as in `04,07`. download: fetch the corpus if it is missing. notebooks: folder
    of the series. prepare: reads the data before any notebook starts and returns its description (None: the corpus that
    is requested). within: the sweep that the run is a part of. executor: who trains parts of stacks, by name (see
    `support.executors`; empty: each kernel itself). cache: that machines share, by its address (see `support.shared`; empty:
    none, or the one that the environment names). Raises UsageError before anything starts, and MiaError when data or a
    notebook fails.
    """
    console = console or Console()
    run = plan(request, only, download, Path(notebooks), within)
    started = time.monotonic()
    with environment(request.data_root, executor, cache), locked(run.folder):
        refuse_other_parameters(run.folder, run.request.asdict())
        console.say(f"Run {run.folder.name} in {run.folder}")
        for line in put_aside(run.folder):
            console.say(f"{INDENT}{line}")
        (run.folder / USES).unlink(missing_ok=True)
        with console.follow():
            data = (prepare or prepare_data)(run)
        _announce(data, time.monotonic() - started, console)
        parts = Parts(run.folder, run.notebooks, run.request, data)
        waiting = [notebook for notebook in run.chosen if not parts.done(notebook.name)]
        count = min(len(run.chosen), lanes(run.request.device, executor or os.environ.get(EXECUTOR, "")))
        forecast = _forecast(run, waiting, console, count) if prepare is None and waiting else None
        header = {"parameters": run.request.asdict(), "settings": run.settings.asdict(), "data": data}
        _record(parts, header)
        outcome = _run_notebooks(run, parts, header, console, forecast, count)
        if left_out := parts.left_out():
            console.say(left_out)
        if not (run.folder / "results.csv").exists():
            raise MiaError(f"{run.folder} was removed while the run worked: the same command makes it again")
    spent = duration(time.monotonic() - started)
    console.say(f"Report: {run.folder / 'index.html'} ({spent}); the notebooks as pages: pages/index.html beside it")
    if outcome.failed:
        rest = f"; not run: {', '.join(outcome.stopped)}" if outcome.stopped else ""
        again = "the same command continues here once this is mended"
        raise MiaError(f"{len(outcome.failed)} notebook(s) failed: {', '.join(outcome.failed)}{rest}; {again}")
    return run.folder


def plan(request: Request, only: str | None, download: bool, notebooks: Path, within: str = "") -> Run:
    """The checked run; nothing is executed and nothing written. Raises UsageError or MiaError at the first fault."""
    request, settings = check(request, download, within)
    found = find_notebooks(notebooks)
    chosen = select(found, only)
    for notebook in chosen:
        check_parameters(notebook)
    return Run(request, settings, download, found, chosen)


def prepare_data(run: Run) -> dict:
    """Read the corpus into fragments (a cached stage); returns the fragments' report and the hash of the data.

    Raises MiaError where they do not do for what the chosen notebooks train: before anything is decoded, if that can be told.
    """
    from mia_lib.corpora import open_corpus
    from mia_lib.fragments.cutting import make_fragments
    from mia_lib.studies.dataset import Dataset
    from mia_lib.studies.enough import check_enough, could_do

    request, work = run.request, {word for notebook in run.chosen for word in notebook.work}
    corpus = open_corpus(request.corpus, request.data_root or None, request.seed, run.download)
    dataset = Dataset(**request.dataset())
    dataset.cache.journal = run.folder / USES
    fragments = make_fragments(
        corpus,
        dataset.cache,
        run.settings,
        request.seed,
        request.max_bad,
        check_choice=partial(could_do, dataset, work),
    )
    check_enough(dataset, work, fragments.manifest)
    return fragments.report | {"data_hash": fragments.key}


def _announce(data: dict, seconds: float, console: Console) -> None:
    """Say what the data are, and what was left out or altered."""
    counts = {name: f"{data.get(name, 0):,}" for name in ("utterances", "bad", "speakers", "fragments")}
    text = "Data: {utterances} recordings ({bad} skipped), {speakers} speakers, {fragments} fragments".format(**counts)
    console.say(f"{text} in {duration(seconds)}")
    notes = ("resampled", "mixed_down", "clipped", "capped", "padded", "dropped_short", "speakers_dropped")
    more = ("duplicates", "silent_fragments", "shorter")
    altered = [f"{name.replace('_', ' ')} {data[name]:,}" for name in (*notes, *more) if data.get(name)]
    if altered:
        console.say(f"{INDENT}{', '.join(altered)}")
    for note in data.get("notes", []):
        console.say(f"{INDENT}{note}")
    for what in ("bad", "passed_over", "duplicate"):
        for reason in data.get(f"{what}_examples", [])[:5]:
            console.say(f"{INDENT}{'kept once' if what == 'duplicate' else 'skipped'}: {reason}")


def _forecast(run: Run, notebooks: list[Notebook], console: Console, count: int) -> "Forecast | None":
    """Say how long the notebooks will take here, `count` beside each other, on an idle machine and while others use it."""
    from mia_lib.studies import cost
    from mia_lib.studies.dataset import Dataset
    from mia_lib.studies.shadow import ShadowStudy

    try:
        study = ShadowStudy(Dataset(**run.request.dataset()))
        study.cache.journal = run.folder / USES
        with console.follow():
            forecast = cost.forecast(study, notebooks, count)
    except MiaError:
        return None  # data that some notebook cannot use: that one will say so
    idle, busy = (duration(forecast.total() * load) for load in (1, forecast.load))
    others = f"; about {busy} while others use it as now" if forecast.load > BUSY else ""
    console.say(f"Expected: about {idle} on this machine when it is idle{others}")
    return forecast


def _run_notebooks(
    run: Run, parts: Parts, header: dict, console: Console, forecast: "Forecast | None" = None, count: int = 1
) -> Outcome:
    """Execute the chosen notebooks, `count` beside each other; the records are renewed after each that is executed, and so is
    what was forecast; pages and report now and then, and at the end."""
    outcome, spent, titles, pages = Outcome(), dict[str, float](), dict[str, str](), _Seldom()
    for position, notebook in enumerate(run.chosen, start=1):
        titles[notebook.name] = f"[{position}/{len(run.chosen)}] {notebook.name}"

    def skip(notebook: Notebook) -> bool:
        title = titles[notebook.name]
        if blocked := needed(notebook.name, run.notebooks) & {*outcome.failed, *outcome.stopped}:
            console.say(f"{title}: not run, it needs {', '.join(sorted(blocked))}")
            outcome.stopped.append(notebook.name)
        elif parts.done(notebook.name):
            console.say(f"{title}: done before")
        else:
            console.say(title)
            if damage := parts.set_aside(notebook.name):
                console.say(f"{INDENT}{damage}")
            return False
        return True

    def carry_out(notebook: Notebook, cores: int, kernels: Kernels) -> None:
        started, label = time.monotonic(), f"{notebook.number:02}" if count > 1 else ""
        variables = {CORES_VARIABLE: str(cores)} if count > 1 else {}
        execute(notebook, run.folder, run.request.asdict(), console, kernels, variables, label)
        spent[notebook.name] = time.monotonic() - started

    ended = [notebook for notebook in run.chosen if parts.done(notebook.name)]
    made = {word for notebook in ended for word in notebook.work}
    with nursery([notebook for notebook in run.chosen if notebook not in ended]) as origin:
        for notebook, future in in_lanes(run.chosen, count, made, carry_out, skip, Kernels(origin)):
            before = f"  {notebook.number:02}  " if count > 1 else INDENT
            try:
                future.result()
            except CellFailure as failure:
                console.say(str(failure))
                outcome.failed.append(notebook.name)
            else:
                if parts.of_other_data(notebook.name):
                    raise MiaError(
                        f"the recordings changed while the run worked, so that {notebook.name} read others than this run is "
                        "about: the same command starts anew with what is there now"
                    )
                parts.finish(notebook.name, spent[notebook.name])
                left = forecast.left(spent) if forecast else None
                rest = f"; about {duration(left)} left" if left else ""
                console.say(f"{before}done in {duration(spent[notebook.name])}{rest}")
            _record(parts, header, pages)
    if pages.late:
        _record(parts, header)
    return outcome


class _Seldom:
    """What is done again only after SELDOM times as long as it took the last time; `late`: it was not, the last time."""

    def __init__(self) -> None:
        self._due, self.late = 0.0, False

    def __call__(self, work: Callable[[], None]) -> None:
        started = time.monotonic()
        self.late = started < self._due
        if not self.late:
            work()
            ended = time.monotonic()
            self._due = ended + SELDOM * (ended - started)


def _record(parts: Parts, header: dict, seldom: "_Seldom | None" = None) -> None:
    """Renew `results.csv`, `run.json`, and (`seldom`: if it is time) the pages and the report from the present parts."""
    from mia_lib.reporting.page import write_report
    from mia_lib.reporting.site import write_site

    present = parts.present()
    results, claims = merge_results(parts.folder, present), merge_claims(parts.folder, present)
    write_run(parts.folder, present, header, len(results))

    def pages() -> None:
        write_site(parts.folder, present)
        write_report(parts.folder, results, claims)

    if seldom is None:
        pages()
    else:
        seldom(pages)
