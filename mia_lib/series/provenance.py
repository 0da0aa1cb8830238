"""The records of a run: what the notebooks left under `parts/`, merged into `results.csv` and `run.json`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from mia_lib.evaluation.claims import CLAIM_COLUMNS
from mia_lib.evaluation.reading import typed
from mia_lib.evaluation.records import CIRCUMSTANCES, COLUMNS, IDENTITY
from mia_lib.series.notebooks import NOTEBOOKS
from mia_lib.support.digests import digest
from mia_lib.support.files import read_json, write_atomically
from mia_lib.support.source import packages_digest
from mia_lib.support.spreadsheets import to_csv
from mia_lib.support.versions import versions

_MEASURED = ("corpora", "fragments", "features", "models", "training", "signals")
DECIDING = (*_MEASURED, "attacks", "defenses", "unlearning", "evaluation", "studies")
"""Packages whose code decides the numbers."""


def merge_results(run_folder: Path, notebooks: list[str]) -> pd.DataFrame:
    """Write `results.csv`: the rows of the parts of some notebooks, duplicates dropped, sorted; numbers keep their digits.

    Returns the same rows as a typed table, which also has the circumstances of each number.
    """
    parts = [run_folder / "parts" / name / "results.csv" for name in sorted(notebooks)]
    tables = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in parts if path.exists()]
    every = [*COLUMNS, *CIRCUMSTANCES]
    table = pd.concat([pd.DataFrame(columns=every), *tables])[every].fillna("").drop_duplicates(COLUMNS)
    table = table.sort_values([*IDENTITY, "metric"], kind="stable", ignore_index=True)
    write_atomically(run_folder / "results.csv", to_csv(table[COLUMNS]))
    return typed(table)


def merge_claims(run_folder: Path, notebooks: list[str]) -> pd.DataFrame:
    """Write `claims.csv`, what became of the claims of some notebooks, in their order; returns the table."""
    parts = [run_folder / "parts" / name / "claims.csv" for name in sorted(notebooks)]
    tables = [pd.read_csv(path) for path in parts if path.exists()]
    table = pd.concat(tables) if tables else pd.DataFrame(columns=CLAIM_COLUMNS)
    write_atomically(run_folder / "claims.csv", to_csv(table))
    return table


def write_run(run_folder: Path, notebooks: list[str], header: dict, numbers: int = 0) -> None:
    """Write `run.json`: `header` (parameters, settings, data), and per notebook its times and its context.

    numbers: rows of `results.csv`, over which the processor time of all notebooks is spread.
    """
    about = {}
    for name in sorted(notebooks):
        part = run_folder / "parts" / name
        state = read_json(part / "state.json", {})
        about[name] = {
            "seconds": state.get("seconds"),
            "finished": state.get("finished"),
            "stages": read_json(part / "stages.json", []),
            "context": read_json(part / "context.json", {}),
        }
    contexts = [notebook["context"] for notebook in about.values()]
    spent = sum(context.get("core_seconds", 0) for context in contexts)
    highest = read_json(run_folder / "run.json", {}).get("peak_memory_mb")
    record = header | {
        "parameters_digest": digest(header["parameters"]),
        "device": next((c["device"] for c in contexts if "device" in c), header["parameters"]["device"]),
        "versions": versions(),
        "commit": commit(),
        "code": packages_digest(DECIDING),
        "peak_memory_mb": max(peak_memory(), highest if isinstance(highest, int) else 0),
        "core_seconds": round(spent, 1),
        "core_seconds_per_number": round(spent / numbers, 3) if numbers else None,
        "notebooks": about,
    }
    write_atomically(run_folder / "run.json", json.dumps(record, indent=1, default=str))


def commit() -> str | None:
    """The git commit of the code, with `-dirty` if files differ from it; None outside a checkout of its own.

    A checkout around ours is another project's, and so is what git's own variables name.
    """
    project = NOTEBOOKS.parent
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {"LC_ALL": "C"}

    def git(*words: str) -> str:
        command = ["git", "-C", str(project), *words]
        said = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="surrogateescape", check=True, env=own
        )
        return said.stdout.strip()

    try:
        if not os.path.samefile(git("rev-parse", "--show-toplevel"), project):
            return None
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def peak_memory() -> int:
    """The largest resident size in MB of this process and the kernels that ended; 0 on Windows, which does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return largest // (1_000_000 if sys.platform == "darwin" else 1000)
