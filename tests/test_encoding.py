"""Text is UTF-8 whatever the machine's locale."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "mia_lib"
FILES = sorted(ROOT.rglob("*.py"))
TEXT = {"read_text", "write_text", "open", "NamedTemporaryFile", "TextIOWrapper", "fdopen"}
PROCESSES = {"run", "Popen", "check_output", "check_call"}


def without_encoding(tree):
    """Lines of calls that take the encoding of the locale."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        values = [value.value for value in (*node.args[:2], given.get("mode")) if isinstance(value, ast.Constant)]
        binary = any(isinstance(value, str) and "b" in value and set(value) <= set("rwaxb+") for value in values)
        opens = name in TEXT and not binary and ast.unparse(node.func) not in ("os.open", "archive.open", "Image.open")
        asks = name in PROCESSES and {"text", "universal_newlines"} & set(given)
        if (opens or asks) and "encoding" not in given:
            yield node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_is_read_and_written_as_utf_8(path):
    assert not list(without_encoding(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("code", "faults"),
    [
        ("open(p)", 1),
        ("open(p, 'a')", 1),
        ("open(p, mode='w')", 1),
        ("open(p, 'rb')", 0),
        ("p.read_text()", 1),
        ("open(p, encoding='utf-8')", 0),
        ("subprocess.run(c, text=True)", 1),
        ("subprocess.run(c)", 0),
    ],
)
def test_calls_that_take_the_locales_encoding_are_found(code, faults):
    assert len(list(without_encoding(ast.parse(code)))) == faults
