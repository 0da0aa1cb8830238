"""Cells of notebooks as JSON holds them: their text, their tags, and which of them only operate the notebook."""

SETUP = "setup"
"""The tag of cells that operate a notebook and tell nothing: imports, parameters, the Lab, and what is said of them."""
INJECTED = "injected-parameters"
"""The tag of the cell in which a run's own parameters stand."""


def tags(cell: dict) -> list[str]:
    """The tags of a cell."""
    return cell.get("metadata", {}).get("tags", [])


def text_of(value: str | list[str]) -> str:
    """A text that a notebook may hold line by line."""
    return value if isinstance(value, str) else "".join(value)
