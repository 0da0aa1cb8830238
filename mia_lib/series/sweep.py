"""Sweeps: the series on several corpora and seeds, and what holds in all of them.

Every combination is a run like any other, in `outputs/<sweep-id>/<run-id>/`; runs share the cache, and what is done is not
done again. A run that fails stops no other. From the records of all come `results.csv`, `claims.csv`, `across.csv` and
`index.html` in the sweep's folder, renewed after each run.
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mia_lib.corpora.base import is_synthetic, short_name
from mia_lib.evaluation.across import across, claims_across
from mia_lib.evaluation.claims import CLAIM_COLUMNS
from mia_lib.evaluation.reading import read_results
from mia_lib.evaluation.records import COLUMNS
from mia_lib.reporting.sweep_page import write_sweep_page
from mia_lib.series.assignment import Assignment, Report, carry_out, marked, name_of, pack, unpack
from mia_lib.series.notebooks import NOTEBOOKS
from mia_lib.series.request import PARAMETERS, Request, check_name, check_types
from mia_lib.series.runner import plan, run_series
from mia_lib.support import limits
from mia_lib.support.console import Console
from mia_lib.support.cores import side_by_side
from mia_lib.support.digests import digest
from mia_lib.support.errors import MiaError, UsageError, brief
from mia_lib.support.executor import WorkerDied
from mia_lib.support.executors import make_executor
from mia_lib.support.files import write_atomically
from mia_lib.support.spreadsheets import to_csv

SHARED = ("seeds", "runs", "only", "sweep_id")
"""What a file may say of a sweep beside the parameters of runs."""


@dataclass(frozen=True)
class Sweep:
    """Requests of several runs, without the sweep's name in theirs, and which notebooks they execute (None: all)."""

    requests: tuple[Request, ...]
    only: str | None = None
    sweep_id: str = ""

    @property
    def name(self) -> str:
        """The name of the sweep's folder: as asked for, or made from what was asked."""
        if self.sweep_id:
            return check_name(self.sweep_id, "--sweep-id")
        first = self.requests[0]
        corpora = dict.fromkeys(re.sub(r"[^A-Za-z0-9]+", "-", short_name(r.corpus)).strip("-") for r in self.requests)
        slug = "-".join(corpora)[:40].strip("-")
        return f"sweep-{slug}-{first.profile}-{digest([r.dataset() for r in self.requests])[:8]}"


@dataclass
class Progress:
    """What became of the runs of a sweep, by name: why those failed that did."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def seeds_of(text: str | int | Sequence[int]) -> list[int]:
    """Seeds as people write them, `0-4` or `0,3,7-9`, in order, each once. Raises UsageError for anything else."""
    given = text if isinstance(text, Sequence) and not isinstance(text, str) else [text]
    if not all(type(one) in (int, str) for one in given):
        raise UsageError(f"seeds are whole numbers, such as 0-4 or 0,3,7-9, not {brief(text)}")
    seeds: list[int] = []
    for word in (word for one in given for word in str(one).split(",")):
        found = re.fullmatch(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10}))?\s*", word)
        if not found or int(found[2] or found[1]) < int(found[1]) or int(found[2] or found[1]) - int(found[1]) > 999:
            raise UsageError(f"--seeds {brief(text)} is not a list of seeds, such as 0-4 or 0,3,7-9")
        seeds += range(int(found[1]), int(found[2] or found[1]) + 1)
    return list(dict.fromkeys(seeds))


def read_sweep(path: Path, outputs: str = Request.outputs) -> Sweep:
    """A sweep from a YAML file: the parameters that all runs share, `seeds`, `only`, `sweep_id`, and `runs`, a list of
    mappings with the parameters of some runs each, all of them for every seed.

    Raises UsageError, naming the file, for what is not of this form.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"cannot read {path}: it is no file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except RecursionError:
        raise UsageError(f"{path} is not YAML that can be read: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} must be a mapping of parameters, such as `corpus: demo` and `seeds: 0-4`")
    shared = {name: content.pop(name) for name in SHARED if name in content}
    runs = shared.get("runs", [{}])
    if not isinstance(runs, list) or not runs or not all(isinstance(run, dict) for run in runs):
        raise UsageError(f"{path}: `runs` must be a list of mappings with parameters")
    unknown = {name for run in (content, *runs) for name in run} - {*PARAMETERS, "seeds"} | {*content} & {"run_id"}
    if unknown:
        known = ", ".join((*(name for name in PARAMETERS if name != "run_id"), *SHARED))
        raise UsageError(f"{path}: unknown parameter {sorted(map(str, unknown))[0]!r}: choose one of {known}")
    requests = []
    for run in runs:
        own = {"outputs": outputs} | content | run
        seeds = seeds_of(own.pop("seeds", shared.get("seeds", own.get("seed", Request.seed))))
        requests += [Request(**own | {"seed": seed}) for seed in seeds]
    for request in requests:
        check_types(request)
    only = shared.get("only")
    return Sweep(tuple(requests), None if only is None else str(only), str(shared.get("sweep_id", "")))


@dataclass
class _Sweeping:
    """A sweep that is being carried out: its checked requests, and what became of them."""

    sweep: Sweep
    requests: Sequence[Request]
    console: Console
    options: dict[str, Any]  # of `run_series`, the same for all
    progress: Progress = field(default_factory=Progress)

    @property
    def folder(self) -> Path:
        return Path(self.requests[0].outputs) / self.sweep.name

    def ended(self, run: str, error: str) -> None:
        """A run came to its end, or failed; tables and page are renewed."""
        if error:
            self.progress.failed[run] = error
            self.console.say(error)
        else:
            self.progress.done.append(run)
        write_tables(self.folder, self.requests, self.progress)

    def here(self) -> None:
        """All runs, one after the other, each on all cores."""
        for number, (asked, request) in enumerate(zip(self.sweep.requests, self.requests, strict=True), start=1):
            run = name_of(request)
            self.console.say(f"Run {number} of {len(self.requests)} of sweep {self.sweep.name}: {run}")
            try:
                run_series(asked, console=self.console, within=self.sweep.name, **self.options)
            except MiaError as error:
                self.ended(run, str(error))
            else:
                self.ended(run, "")

    def elsewhere(self, executor: str) -> None:
        """All runs, as many at a time as the executor has workers."""
        chosen, mark, turn = make_executor(executor), marked(self.folder), threading.Lock()
        at_once = min(chosen.count or 1, len(self.requests))
        local = executor.startswith("workers")
        cores = max(1, limits.cores() // at_once) if local else 1

        def one(request: Request) -> None:
            run = name_of(request)
            before = b"" if local else pack(self.folder / run)
            task = Assignment(request, self.sweep.name, cores, mark, before, **self.options)
            try:
                report = carry_out_elsewhere(carry_out, task)
            except WorkerDied as error:
                report = Report("", str(error))
            with turn:
                unpack(report.folder, self.folder / run)
                for line in (f"Run {run} of sweep {self.sweep.name}:", *report.said.splitlines()):
                    self.console.say(line)
                self.ended(run, report.error)

        each = f"{cores} core{'s' * (cores > 1)} each"
        self.console.say(f"{len(self.requests)} runs of sweep {self.sweep.name}, {at_once} at a time, {each}")
        with self.console.follow(), chosen.session() as carry_out_elsewhere:
            side_by_side(one, self.requests, workers=at_once)


def run_sweep(
    sweep: Sweep,
    console: Console | None = None,
    download: bool = False,
    notebooks: Path = NOTEBOOKS,
    executor: str = "",
    **options: Any,
) -> Path:
    """Carry out all runs of a sweep; returns the sweep's folder.

    executor: whoever carries them out, by name (see `support.executors`); empty: this process, one after the other, each on
    all cores. options: further arguments of `run_series`. All requests are checked before the first run starts. Raises
    UsageError for a request that makes no sense, and MiaError at the end where runs have failed.
    """
    console, name = console or Console(), sweep.name
    requests = [plan(request, sweep.only, download, notebooks, name).request for request in sweep.requests]
    names = [name_of(request) for request in requests]
    if twice := next((one for one in names if names.count(one) > 1), None):
        raise UsageError(f"two runs of the sweep are called {twice}: name one of them by its run_id")
    if len({request.outputs for request in requests}) > 1:
        raise UsageError("all runs of a sweep must have the same outputs folder")
    shared = {"only": sweep.only, "download": download, "notebooks": notebooks, **options}
    sweeping = _Sweeping(sweep, requests, console, shared)
    if executor:
        sweeping.elsewhere(executor)
    else:
        sweeping.here()
    console.say(f"Report: {sweeping.folder / 'index.html'}")
    if failed := sweeping.progress.failed:
        count = f"{len(failed)} of {len(requests)} runs failed"
        raise MiaError(f"{count}: {', '.join(failed)}; the same command continues once this is mended")
    return sweeping.folder


def write_tables(folder: Path, requests: Sequence[Request], progress: Progress) -> None:
    """Merge the records of the runs that have any into the sweep's tables and page."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = {name_of(request): request for request in requests}
    tables = [read_results(folder / run / "results.csv")[COLUMNS] for run in runs]
    results = pd.concat([pd.DataFrame(columns=COLUMNS), *(table for table in tables if len(table))])
    paths = [folder / run / "claims.csv" for run in runs]
    claims = pd.concat([pd.DataFrame(columns=CLAIM_COLUMNS), *(pd.read_csv(path) for path in paths if path.exists())])
    redrawn = {corpus for corpus in results["corpus"].unique() if is_synthetic(corpus)}
    redrawn |= {corpus for corpus in claims["corpus"].unique() if is_synthetic(corpus)}
    numbers, findings = across(results, redrawn), claims_across(claims, redrawn)
    named = {"results.csv": results, "claims.csv": claims, "across.csv": numbers, "findings.csv": findings}
    for file, table in named.items():
        write_atomically(folder / file, to_csv(table))
    states = {run: "done" if run in progress.done else progress.failed.get(run, "not run yet") for run in runs}
    about = [
        dict(run=run, corpus=short_name(r.corpus), profile=r.profile, seed=r.seed, state=states[run])
        for run, r in runs.items()
    ]
    write_sweep_page(folder, about, results, numbers, findings)


def of_options(
    corpora: Sequence[str], seeds: str, parameters: dict[str, Any], only: str | None, sweep_id: str
) -> Sweep:
    """A sweep from a command line."""
    base = Request(**parameters)
    requests = [replace(base, corpus=corpus, seed=seed) for corpus in corpora for seed in seeds_of(seeds)]
    return Sweep(tuple(requests), only, sweep_id)
