"""The folder of a made-up run with executed notebooks, for tests of its pages."""

import json

import numpy as np
from report_rows import row

from mia_lib.evaluation.records import COLUMNS
from mia_lib.reporting import embed, figures, looks
from mia_lib.reporting.page import write_report
from mia_lib.reporting.site import write_site

HOSTILE = "<script>window.hacked = true</script><img src='https://example.org/x.png' onerror='window.hacked = true'>"
HOW = r"""## How sure

Confidence is $\phi = z_y - \log \sum_{i \ne y} e^{z_i}$:

$$\frac{1}{2}$$"""
LINKS = "[attacks](01_attack.ipynb#How-sure), [gone](09_gone.ipynb), [web](https://arxiv.org/abs/1911.01888)"
TITLE = "# The attack\n\n**You will learn** why Zürich is not at risk."
FIRST = [
    ("markdown", "# Start here\n\n**You will learn** what a fragment is. **You need** nothing.", []),
    ("code", "import numpy", ["setup"]),
    ("markdown", "The parameters:", ["setup"]),
    ("code", "seed = 0", ["parameters", "setup"]),
    ("code", '# Parameters\noutputs = "/home/me/outputs"', ["injected-parameters"]),
    ("markdown", HOW, []),
    ("markdown", LINKS, []),
]
SECOND = [
    ("markdown", f"{TITLE}\n\n## How sure\n\nWords.\n\n## How sure\n\nMore.", []),
    ("markdown", f"Back to [the start](00_start.ipynb). {HOSTILE}", []),
]


def code(source, tags=(), outputs=()):
    about = {"tags": list(tags)} if tags else {}
    return dict(cell_type="code", metadata=about, source=source, outputs=list(outputs), execution_count=1)


def shown(data, metadata=None):
    return dict(output_type="display_data", data=data, metadata=metadata or {})


def outputs_of(folder):
    """A figure, a sound, a table, and what libraries say."""
    looks.style()
    figure, axis = looks.plt.subplots(figsize=(8, 3))
    axis.plot([0, 1], [0.5, 0.7], color=looks.MEMBER)
    axis.set(xlabel="epochs", title="A wide figure")
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    path = folder / "figures" / "00_start-curve.png"
    path.write_bytes(looks.as_png(figure))
    path.with_suffix(".svg").write_text(looks.as_svg(figure))
    path.with_suffix(".txt").write_text("A curve.")
    figures.plt.close(figure)
    wide = "<table class='dataframe'><tr>" + "".join(f"<td>a long column {i}</td>" for i in range(20)) + "</tr></table>"
    return [
        shown(*embed.picture(path.read_bytes(), "A curve.", path.stem)),
        shown({"text/html": embed.player(np.zeros(4000), 16_000, "a clip"), "text/plain": "<HTML>"}),
        shown({"text/html": wide, "text/plain": "a table"}),
        shown({"text/markdown": "Measured: **0.9 [0.8, 1.0]**", "text/plain": "<Markdown>"}),
        dict(output_type="stream", name="stderr", text="/home/me/lib.py: a warning"),
        dict(output_type="stream", name="stdout", text="printed\n"),
    ]


def made_run(folder):
    """A run with two notebooks, its pages and its report; returns its folder."""
    folder.mkdir(parents=True)
    for name, parts in (("00_start", FIRST), ("01_attack", SECOND)):
        cells = [
            code(text, tags)
            if kind == "code"
            else dict(cell_type=kind, metadata={"tags": tags} if tags else {}, source=text)
            for kind, text, tags in parts
        ]
        if name == "00_start":
            cells.append(code("lab.figure(curve)", outputs=outputs_of(folder)))
        for number, cell in enumerate(cells):
            cell["id"] = f"cell-{number}"
        content = dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)
        (folder / f"{name}.ipynb").write_text(json.dumps(content))
    line = {name: row("test_accuracy", 0.9, 0.8, 0.95)[name] for name in COLUMNS}
    (folder / "results.csv").write_text(",".join(COLUMNS) + "\n" + ",".join(map(str, line.values())) + "\n")
    parameters = dict(corpus="demo", profile="smoke", seed=0, outputs="/home/me/outputs")
    notebooks = {name: {"seconds": 3.0, "stages": []} for name in ("00_start", "01_attack")}
    (folder / "run.json").write_text(json.dumps(dict(parameters=parameters, notebooks=notebooks)))
    write_site(folder, ["00_start", "01_attack"])
    write_report(folder)
    return folder
