"""What a run was made with: its command, its times, and tables of facts, without the folders of a machine."""

import shlex
from pathlib import Path

from mia_lib.corpora.base import short_name
from mia_lib.corpora.found import LOSSES
from mia_lib.fragments.accounts import DUPLICATE, fates_by_ending
from mia_lib.support.progress import duration

OF_THE_MACHINE = ("outputs", "data_root", "run_id")
"""Parameters that say where things lie, which change no number."""


def command(run: dict) -> str:
    """The command that makes the same run again; of an own folder, its name."""
    known = run.get("parameters", {})
    words = ["python", "-m", "mia_lib", "run"]
    for name in ("corpus", "profile", "seed"):
        if name in known:
            value = short_name(known[name]) if name == "corpus" else str(known[name])
            words += [f"--{name}", value]
    if known.get("max_bad", 0.05) != 0.05:
        words += ["--max-bad", str(known["max_bad"])]
    changed = [f"{name}={value}" for name, value in (known.get("settings") or {}).items()]
    return shlex.join([*words, *(["--set", *changed] if changed else [])])


def when(run: dict) -> str:
    """The days on which the notebooks of a run came to their end, such as `2026-11-28`; empty where that was not noted."""
    days = sorted({str(entry["finished"])[:10] for entry in run.get("notebooks", {}).values() if entry.get("finished")})
    return " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""


def times(run_folder: Path, name: str, entry: dict) -> dict:
    """A notebook's wall time and its three longest computed stages, and whether it has a page to read."""
    computed = [stage for stage in entry.get("stages", []) if not stage.get("cached")]
    longest = sorted(computed, key=lambda stage: -stage["seconds"])[:3]
    stages = ", ".join(f"{stage['stage']} {duration(stage['seconds'])}" for stage in longest)
    about = {"name": name, "seconds": duration(entry.get("seconds") or 0), "stages": stages or "all from the cache"}
    return about | {"page": (run_folder / "pages" / f"{name}.html").is_file()}


def left_out(data: dict) -> dict[str, str]:
    """Which recordings are not used, and why: name -> reason, those that a run lists. Of a whole path the end is shown."""
    told = [line for what in ("bad", "passed_over") for line in data.get(f"{what}_examples", [])]
    reasons = dict(line.partition(": ")[::2] for line in told) | dict.fromkeys(
        data.get("duplicate_examples", []), "kept once"
    )
    names = {name: Path(*Path(name).parts[-3:]) if Path(name).is_absolute() else name for name in reasons}
    there = data.get("bad", 0) + sum(data.get(f"files_{why}", 0) for why in (DUPLICATE, *LOSSES))
    more = {f"and {there - len(reasons):,} more": "counted above"} if there > len(reasons) else {}
    return {str(names[name]): why for name, why in reasons.items()} | more


def facts(run: dict) -> dict[str, dict]:
    """The request, the data, the settings and the versions: title -> name -> value."""
    data = {name: value for name, value in run.get("data", {}).items() if not isinstance(value, list)}
    code = run.get("versions", {}) | {"commit": run.get("commit"), "peak memory (MB)": run.get("peak_memory_mb")}
    asked = {name: value for name, value in run.get("parameters", {}).items() if name not in OF_THE_MACHINE}
    found = {
        "Parameters": asked | {"corpus": short_name(asked.get("corpus", ""))},
        "Settings": run.get("settings", {}),
        "Data": data,
        "Files found, by ending": {
            ending: ", ".join(f"{files:,} {fate}" for fate, files in fates.items())
            for ending, fates in fates_by_ending(run.get("data", {})).items()
        },
        "Recordings that are not used": left_out(run.get("data", {})),
        "Versions": code,
    }
    return {
        title: {name: value for name, value in part.items() if value not in (None, "")}
        for title, part in found.items()
        if part or title not in ("Files found, by ending", "Recordings that are not used")
    }
