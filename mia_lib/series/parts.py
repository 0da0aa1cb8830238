"""What each notebook of a run left behind, and what that rests on: only parts made of the present state are shown.

`parts/<notebook>/state.json` is written when a notebook has come to its end. It names the four things that decide the
numbers, and holds digests of all that the notebook left. A part without it, with another state than the present one, or
with a file that was changed or damaged since, stays where it is but is left out.
"""

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from mia_lib.series.notebooks import Notebook
from mia_lib.series.request import Request
from mia_lib.support.digests import digest, file_digest, regular
from mia_lib.support.files import read_json, sealed, unsealed, write_atomically
from mia_lib.support.source import whole_digest

STATE, CONTEXT = "state.json", "context.json"


class Parts:
    """The parts of one run.

    folder: of the run. notebooks: of the series, chosen or not. data: as `prepare` describes them.
    """

    def __init__(self, folder: Path, notebooks: list[Notebook], request: Request, data: dict):
        self.folder, self.notebooks = folder, {notebook.name: notebook for notebook in notebooks}
        parameters = {name: value for name, value in request.asdict().items() if name != "outputs"}
        self._shared = {"parameters": digest(parameters), "data": data.get("data_hash"), "code": whole_digest()}

    def rests_on(self, name: str) -> dict:
        """What decides the numbers of a notebook, each as a digest."""
        return {"notebook": digest(self.notebooks[name].content)} | self._shared

    def _state(self, name: str) -> dict:
        try:
            return unsealed(regular(self.folder / "parts" / name / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def _shown(self, name: str) -> Iterator[Path]:
        """The files of a notebook from which tables and the report are made."""
        yield from sorted(p for p in (self.folder / "parts" / name).glob("*") if p.name != STATE)
        yield from sorted((self.folder / "figures").glob(f"{name}-*"))

    def _digests(self, paths: Iterable[Path]) -> dict[str, str]:
        return {str(path.relative_to(self.folder)): file_digest(path) for path in paths}

    def finish(self, name: str, seconds: float) -> None:
        """Note that a notebook has come to its end."""
        path = self.folder / "parts" / name / STATE
        path.parent.mkdir(parents=True, exist_ok=True)
        files = self._digests([*self._shown(name), self.folder / f"{name}.ipynb"])
        about = {"seconds": round(seconds, 2), "finished": datetime.now(UTC).isoformat(timespec="seconds")}
        state = {"rests_on": self.rests_on(name), **about, "files": files}
        write_atomically(path, sealed(state))

    def of_other_data(self, name: str) -> bool:
        """Whether a notebook that has just come to its end says that it read other data than this run is about."""
        context = read_json(self.folder / "parts" / name / CONTEXT, {})
        return context.get("data_hash", self._shared["data"]) != self._shared["data"]

    def damage(self, name: str) -> str:
        """The file of a finished notebook that is not as it was left, its executed copy last; empty if all are."""
        state, path = self._state(name), self.folder / "parts" / name / STATE
        path = path.parent if path.parent.exists() and not path.parent.is_dir() else path
        if not state and os.path.lexists(path):
            return str(path.relative_to(self.folder))
        for file, kept in state.get("files", {}).items():
            try:
                if file_digest(self.folder / file) != kept:
                    return file
            except OSError:
                return file
        return ""

    def set_aside(self, name: str) -> str:
        """Why a finished notebook is run again, if by damage; its changed copy, which may hold notes, is kept beside."""
        damage, copy = self.damage(name), self.folder / f"{name}.ipynb"
        why = f"{damage} was changed or damaged, so it is run again" if damage else ""
        if damage == copy.name and copy.is_file():
            kept = copy.replace(copy.with_suffix(".changed.ipynb"))
            why += f"; what was there is {kept.name}"
        return why

    def _is_present(self, name: str) -> bool:
        return self._state(name).get("rests_on") == self.rests_on(name) and self.damage(name) in ("", f"{name}.ipynb")

    def present(self) -> list[str]:
        """The notebooks whose parts were finished on the present state, in order."""
        return [name for name in self.notebooks if self._is_present(name)]

    def done(self, name: str) -> bool:
        """Whether a notebook need not be executed: its part is present, and so is its executed copy."""
        return self._is_present(name) and not self.damage(name)

    def _fault(self, name: str) -> str:
        """Why a part is not present, in a few words."""
        if name not in self.notebooks:
            return "no such notebook now"
        made_of, now = self._state(name).get("rests_on"), self.rests_on(name)
        if made_of in (None, now):
            return f"{damage} was changed or damaged" if (damage := self.damage(name)) else "did not finish"
        return "other " + " and ".join(what for what in now if made_of.get(what) != now[what])

    def left_out(self) -> str:
        """One line on the parts that are not shown, why, and how to renew them; empty if there are none."""
        present, parts = self.present(), sorted((self.folder / "parts").glob("*"))
        kept = [path.name for path in parts if path.is_dir() or path.name in self.notebooks]
        faults = {name: self._fault(name) for name in kept if name not in present}
        if not faults:
            return ""
        numbers = [f"{self.notebooks[name].number:02}" for name in faults if name in self.notebooks]
        again = f"; the same command with --only {','.join(numbers)} renews them" if numbers else ""
        return f"Left out of the report: {', '.join(f'{name} ({why})' for name, why in faults.items())}{again}"
