"""A sweep on a Ray cluster: a node that dies in the middle costs its runs only, and the tables are the local ones."""

import io
import threading
import time

from series.fakes import prepared

from mia_lib.series.sweep import of_options, run_sweep
from mia_lib.support.console import Console

WAITS = """
import time
with open({log!r}, "a") as file:
    file.write(f"{{os.environ.get('RAY_RAYLET_PID', '')}} {{seed}}\\n")
time.sleep({seconds})
"""


def swept(series, outputs, executor=""):
    """The sweep's folder, and what was said."""
    said, sweep = io.StringIO(), of_options(["demo"], "0-2", {"outputs": str(outputs)}, None, "swept")
    folder = run_sweep(sweep, Console(said), notebooks=series.notebooks, prepare=prepared, executor=executor)
    return folder, said.getvalue()


def test_a_node_killed_in_the_middle_of_a_sweep_costs_its_runs_only(series, tmp_path, nodes):
    log = tmp_path / "log"
    series.add("00_a", WAITS.format(log=str(log), seconds=0))
    local, _ = swept(series, tmp_path / "local")
    log.unlink()
    series.add("00_a", WAITS.format(log=str(log), seconds=4))
    node, killed = nodes.add_node(num_cpus=1), threading.Event()
    process = str(node.all_processes["raylet"][0].process.pid)

    def kill():
        while not log.exists() or process not in log.read_text().split():
            time.sleep(0.1)
        nodes.remove_node(node, allow_graceful=False)
        killed.set()

    threading.Thread(target=kill, daemon=True).start()
    folder, said = swept(series, tmp_path / "cluster", f"ray:{nodes.address}")
    assert killed.is_set() and log.read_text().count("\n") > 3 and "3 runs of sweep swept, 3 at a time" in said
    for name in ("results.csv", "across.csv"):
        assert (folder / name).read_bytes() == (local / name).read_bytes()
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [f"demo-standard-s{s}" for s in range(3)]
