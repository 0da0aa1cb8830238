"""A series of tiny notebooks, which run without real data."""

import io

import nbformat

from mia_lib.series.request import Request
from mia_lib.series.runner import run_series
from mia_lib.support.console import Console

DECLARATIONS = {
    "corpus": 'corpus: str = "demo"',
    "profile": 'profile: str = "standard"',
    "seed": "seed: int = 0",
    "device": 'device: str = "auto"',
    "outputs": 'outputs: str = "../outputs"',
    "run_id": 'run_id: str = ""',
    "data_root": 'data_root: str = ""',
    "max_bad": "max_bad: float = 0.05",
    "settings": "settings: dict = {}",
}
DATA = {"utterances": 1200, "bad": 1, "speakers": 40, "fragments": 3600, "bad_examples": ["a.wav is empty"]}
PRELUDE = """
import csv, json, os, pathlib
part = pathlib.Path(outputs) / run_id / "parts" / name
part.mkdir(parents=True, exist_ok=True)
with open(part / "results.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow("corpus profile seed protocol defense attack adaptive metric value low high n".split())
    writer.writerow([corpus, profile, seed, "", "none", "none", False, "test_accuracy", 0.9, 0.8, 1.0, 10])
    writer.writerow([corpus, profile, seed, "", "none", "none", False, "of_" + name, 1, "", "", 10])
(part / "stages.json").write_text(json.dumps([{"stage": "train", "seconds": 1.5, "cached": False}]))
(part / "context.json").write_text(json.dumps({"device": "cpu", "core_seconds": 1.5}))
"""


def write_notebook(folder, name, code="", needs=(), declarations=None):
    """A notebook that notes in `<folder>/log` that it was run, writes its records, and then runs `code`."""
    cells = [
        nbformat.v4.new_markdown_cell(f"# About {name}"),
        nbformat.v4.new_code_cell(
            "\n".join((declarations or DECLARATIONS).values()), metadata={"tags": ["parameters"]}
        ),
        nbformat.v4.new_code_cell(
            f"name = {name!r}\nwith open({str(folder / 'log')!r}, 'a') as f: f.write(name + '\\n')"
        ),
        nbformat.v4.new_code_cell(PRELUDE),
        nbformat.v4.new_code_cell(code or "pass"),
    ]
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    metadata["mia_lib"] = {"needs": list(needs)}
    folder.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / f"{name}.ipynb")


class Series:
    """A folder of tiny notebooks, and a way to run them without real data."""

    def __init__(self, root):
        self.root, self.notebooks, self.outputs, self.said = root, root / "notebooks", root / "outputs", ""

    def add(self, name, *args, **options):
        write_notebook(self.notebooks, name, *args, **options)

    def run(self, prepare=lambda run: DATA, only=None, cache="", **parameters):
        stream = io.StringIO()
        try:
            request = Request(**{"outputs": str(self.outputs)} | parameters)
            options = dict(only=only, notebooks=self.notebooks, prepare=prepare, cache=cache)
            return run_series(request, console=Console(stream), **options)
        finally:
            self.said = stream.getvalue()

    def executed(self):
        """The names of the notebooks whose kernels ran since the last call."""
        log = self.notebooks / "log"
        names = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return names


def prepared(run):
    """The data of a run, for processes that cannot be given a function without a name."""
    return DATA
