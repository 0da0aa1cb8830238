"""Terms of the glossary in notebook 00, and the links that their first use in every notebook has. Run, this sets the links.

Only prose counts: headings, code, formulas, links and the opening cell of a notebook are left as they are.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from mia_lib.series.notebooks import NOTEBOOKS, find_notebooks
from mia_lib.support.files import write_atomically

PLACE = "00_start_here.ipynb"
TERMS = {
    "utterance": r"utterances?",
    "fragment": r"fragments?",
    "corpus": r"corpus|corpora",
    "mfcc": r"MFCC",
    "target": r"target models?|targets?",
    "shadow": r"shadow models?|shadows?",
    "reference": r"reference models?",
    "member": r"non-members?|members?",
    "stranger": r"strangers?",
    "audit-set": r"audit sets?",
    "protocol": r"(?:membership )?protocols?",
    "signal": r"signals?",
    "posterior": r"posteriors?",
    "logit": r"logits?",
    "confidence": r"logit-scaled confidence",
    "cross-entropy": r"cross-entropy",
    "nat": r"nats?",
    "epoch": r"epochs?",
    "batch": r"batch(?:es)?",
    "gap": r"generalisation gap",
    "stack": r"stacks?",
    "attack": r"attacks?",
    "top-3": r"top-3 (?:attack|network)",
    "threshold": r"thresholds?",
    "balanced-accuracy": r"balanced accurac(?:y|ies)",
    "precision": r"precision|recall",
    "auc": r"AUCs?",
    "roc": r"ROC(?: curves?)?",
    "false-alarm": r"false alarms?|false-positive rates?|false positives?",
    "interval": r"(?:95 % )?intervals?|bootstrap",
    "control": r"negative controls?|unexposed",
    "lira": r"LiRA",
    "rmia": r"RMIA",
    "label-only": r"label-only",
    "white-box": r"white-box|white box",
    "defense": r"defenses?",
    "adaptive": r"adaptive",
    "validation": r"validation models?",
    "temperature": r"temperatures?",
    "distillation": r"teachers?|students?|distillation",
    "epsilon": r"ε|epsilon",
    "encoder": r"encoders?|embeddings?",
    "exposure": r"exposures?",
    "profile": r"profiles?",
}
"""Anchor in the glossary -> the words that it explains."""
KEPT = re.compile(
    r"(?P<link>\[[^\]]*\]\([^)]*\))|\$\$.*?\$\$|\$[^$]*\$|``.*?``|`[^`]*`|<[^>]+>|^#.*?$|https?://\S+",
    re.DOTALL | re.MULTILINE,
)
"""What is no prose."""


def prose_cells(content: dict) -> Iterator[dict]:
    """The cells in which first uses are looked for: all of text, but the opening, the glossary itself and the last."""
    for cell in content["cells"][1:-1]:
        if cell["cell_type"] == "markdown" and '<a id="' not in "".join(cell["source"]):
            yield cell


def anchors(content: dict) -> list[str]:
    """The anchors that a notebook offers."""
    return re.findall(r'<a id="([^"]+)">', "".join("".join(cell["source"]) for cell in content["cells"]))


def linked(content: dict, place: str = PLACE) -> dict:
    """A notebook in which the first use of every term is a link to the glossary; a new dictionary, the same where all are.

    place: what links begin with; empty in the notebook that has the glossary.
    """
    content, waiting = json.loads(json.dumps(content)), dict(TERMS)
    for cell in prose_cells(content):
        text = _linked("".join(cell["source"]), waiting, place)
        cell["source"] = text.splitlines(keepends=True)
    return content


def _linked(text: str, waiting: dict[str, str], place: str) -> str:
    """A text with links at the first uses of the terms that wait, which wait no longer then."""
    parts, start = [], 0
    for kept in [*KEPT.finditer(text), None]:
        parts.append(_prose(text[start : kept.start() if kept else len(text)], waiting, place))
        if kept:
            parts.append(kept.group())
            start = kept.end()
            for name in re.findall(r"#([^)]+)\)$", kept["link"] or ""):
                waiting.pop(name, None)
    return "".join(parts)


def _prose(text: str, waiting: dict[str, str], place: str) -> str:
    done = ""
    while found := _first(text, waiting):
        name, use = found
        del waiting[name]
        done += f"{text[: use.start()]}[{use.group()}]({place}#{name})"
        text = text[use.end() :]
    return done + text


def _first(text: str, waiting: dict[str, str]) -> tuple[str, re.Match] | None:
    """The first use of a term that waits; of several at one place the longest."""
    uses = [
        (name, re.search(rf"(?<![\w-])(?:{words})(?![\w-])", text, re.IGNORECASE)) for name, words in waiting.items()
    ]
    return min(((n, u) for n, u in uses if u), key=lambda found: (found[1].start(), -found[1].end()), default=None)


def main(folder: Path = NOTEBOOKS) -> None:
    """Set the links of all notebooks of a folder."""
    for notebook in find_notebooks(folder):
        content = linked(notebook.content, "" if notebook.path.name == PLACE else PLACE)
        if content != notebook.content:
            write_atomically(notebook.path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
