"""What CONTRIBUTING shows works as it stands: one file each, known by name, trained, asked and attacked."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
TRY = """
import sys, types
from pathlib import Path
from mia_lib.attacks import ATTACKS
from mia_lib.corpora import CORPORA
from mia_lib.defenses import DEFENSES
from mia_lib.models import MODELS

for registry in (ATTACKS, CORPORA, DEFENSES, MODELS):
    registry.names()
sys.path.insert(0, sys.argv[1])
for path in sorted(Path(sys.argv[1]).glob("example_*.py")):
    __import__(path.stem)

from mia_lib.series.listing import sections
from mia_lib.studies import Dataset, ReferenceStudy, ShadowStudy
from mia_lib.studies.selection import candidates

known = sections()
assert "margin" in known["attacks"] and "flooding" in known["defenses"]
assert "tones" in known["corpora"] and "plain" in known["models"]
assert {"flooding:0.05", "flooding:0.2"} <= set(candidates("regularisation"))
settings = dict(model="plain", epochs=2, shadow_epochs=2, n_references=4, max_speakers=16, bootstrap=5)
study = ShadowStudy(Dataset("tones", "smoke", 0, "cpu", sys.argv[1], settings=settings))
assert study.defended("flooding:0.2").accuracy("train").value > 0
records = ReferenceStudy(study).attack_records("margin")
assert set(records["attack"]) == {"margin_references"} and (records["corpus"] == "tones").all()
"""


def test_every_example_works_and_is_one_file_under_60_lines(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 4 and all(len(block.splitlines()) < 60 for block in blocks)
    for number, block in enumerate(blocks):
        (tmp_path / f"example_{number}.py").write_text(block, encoding="utf-8")
    command = [sys.executable, "-c", TRY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PAGE.parent, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_file_and_package_that_is_named_is_there():
    text = PAGE.read_text(encoding="utf-8")
    root, examples = PAGE.parent, {"margin.py", "flooding.py", "tones.py", "plain.py"}
    for path in re.findall(r"`((?:tests|mia_lib)/[\w/.]+)`", text):
        assert Path(path).name in examples or (root / path).exists(), path
    packages = re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)
    assert set(packages) == {p.parent.name for p in (root / "mia_lib").glob("*/__init__.py")}
