"""`challenge make`: reference models whose answers a class attacks; who is a member in the last part is sealed.

Each scenario is a defense with models and coins of its own, drawn by a salt that stays secret: whoever has this code and
the corpus can draw neither again. DIR/public is given to the class; DIR/secret stays with whoever scores, and the SHA-256
digest of its file `final.json` is in DIR/public/challenge.json, so that nobody can change the answers afterwards.
"""

import argparse
import hashlib
import json
import os
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from mia_lib.course.notes import notebook_of
from mia_lib.defenses.base import make_defense
from mia_lib.fragments.splits import whole_recordings
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.errors import UsageError
from mia_lib.support.files import read_json, write_atomically

PARTS = ("train", "dev", "final")
FRAGMENTS = 2000
"""About how many fragments every model is asked about: of a thousand non-members one is a false alarm of 0.1 %."""
SEALED, PLAN, PUBLIC = "final.json", "plan.json", "challenge.json"


@dataclass(frozen=True)
class Scenario:
    """Answers of all models of one scenario: log posteriors float32 [K, n, C], member bool [K, n], and for each fragment its
    class, speaker and recording as numbers [n]."""

    log_posteriors: np.ndarray
    member: np.ndarray
    label: np.ndarray
    speaker: np.ndarray
    recording: np.ndarray


def make(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Train and publish as a command line asks; the same command again continues. UsageError for what makes no sense."""
    names = [name.strip() for name in arguments.scenarios.split(",") if name.strip()]
    if arguments.models < 6 or not names or len(set(names)) < len(names):
        raise UsageError(
            "a challenge needs at least 6 models, and scenarios that differ, such as none,label_only,dp_finetune:8"
        )
    if not 0 <= arguments.seed < 2**32 // 1000:
        raise UsageError(f"the seed must be from 0 to {2**32 // 1000 - 1}, not {arguments.seed}")
    for name in names:
        make_defense(name)
    folder = Path(arguments.folder)
    asked = {
        "corpus": arguments.corpus, "profile": arguments.profile, "seed": arguments.seed, "models": arguments.models,
        "scenarios": names, "settings": arguments.settings,
    }  # fmt: skip
    _known(folder, asked)
    dataset = Dataset(
        arguments.corpus, arguments.profile, arguments.seed, arguments.device, arguments.outputs, arguments.data_root,
        arguments.settings,
    )  # fmt: skip
    say(f"{len(dataset.manifest)} fragments")  # a corpus that cannot do is refused before anything is written
    salt = _salt(folder, asked)
    made = {}
    for name in names:
        say(f"{name}: {arguments.models} models")
        made[name] = answers(dataset, name, arguments.models, salt)
    publish(folder, made, salt, {"corpus": arguments.corpus, "synthetic": bool(dataset.corpus.synthetic)})
    say(f"For the class: {folder / 'public'}; keep to yourself: {folder / 'secret'}")


def _known(folder: Path, asked: dict) -> dict:
    """What is kept of this challenge already; UsageError where it is of another."""
    known = read_json(folder / "secret" / PLAN, {})
    if known and known.get("asked") != asked:
        raise UsageError(f"{folder} holds another challenge: name another folder, or ask for what it was made of")
    return known


def _salt(folder: Path, asked: dict) -> str:
    """The secret of this challenge, kept with what was asked for, so that an interrupted one continues."""
    plan, known = folder / "secret" / PLAN, _known(folder, asked)
    if not known:
        plan.parent.mkdir(parents=True, exist_ok=True)
        known = {"asked": asked, "salt": secrets.token_hex(16)}
        write_atomically(plan, json.dumps(known, indent=1))
    return str(known["salt"])


def models_of(dataset: Dataset, name: str, models: int, salt: str) -> ReferenceStudy:
    """The models of one scenario, with coins of their own."""
    return ReferenceStudy(ShadowStudy(dataset, name), models - 1, attacked=1, purpose=f"challenge {name} {salt}")


def answers(dataset: Dataset, name: str, models: int, salt: str) -> Scenario:
    """What the models of one scenario answer to recordings on which a coin decided for each of them."""
    study = models_of(dataset, name, models, salt)
    member = study.signals.member
    source = study.manifest["source"].astype(str).to_numpy()
    rows = whole_recordings(np.where((member >= 0).all(0), source, ""), FRAGMENTS, study.drawn_by)
    numbers = [np.unique(column[rows], return_inverse=True)[1] for column in (study.clusters.astype(str), source)]
    given = log_softmax(study.signals.logits[:, rows].astype(float), axis=2).astype(np.float32)
    return Scenario(given, member[:, rows] == 1, study.labels[0, rows], *numbers)


def parts_of(models: int) -> dict[str, np.ndarray]:
    """Which models are in which part: a sixth each in dev and final, the rest in train."""
    sixth = max(1, models // 6)
    return dict(zip(PARTS, np.split(np.arange(models), [models - 2 * sixth, models - sixth]), strict=True))


def file_name(scenario: str) -> str:
    """A scenario as part of a file's name."""
    return scenario.replace(":", "-").replace("/", "-")


def publish(folder: Path, scenarios: dict[str, Scenario], salt: str, about: dict) -> None:
    """Write the public folders, the starting notebook and what is sealed."""
    sealed: dict = {"salt": salt, "member": {}}
    for name, scenario in scenarios.items():
        for part, models in parts_of(len(scenario.member)).items():
            arrays: dict[str, Any] = {"log_posteriors": scenario.log_posteriors[models], "model": models}
            arrays |= {field: getattr(scenario, field) for field in ("label", "speaker", "recording")}
            if part == "final":
                sealed["member"][name] = ["".join(map(str, row.astype(int))) for row in scenario.member[models]]
            else:
                arrays["member"] = scenario.member[models]
            _save(folder / "public" / part / f"{file_name(name)}.npz", arrays)
    text = json.dumps(sealed)
    (folder / "secret").mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "secret" / SEALED, text)
    told = about | {"scenarios": list(scenarios), "sha256_of_final": hashlib.sha256(text.encode()).hexdigest()}
    write_atomically(folder / "public" / PUBLIC, json.dumps(told, indent=1))
    start = json.dumps(notebook_of(Path(__file__).with_name("start.md")), indent=1, ensure_ascii=False)
    write_atomically(folder / "public" / "start.ipynb", f"{start}\n")


def _save(path: Path, arrays: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}.npz")
    try:
        np.savez_compressed(temporary, **arrays)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
