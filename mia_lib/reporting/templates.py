"""Pages from templates: everything that is put into one is escaped unless the template says otherwise."""

from pathlib import Path

import jinja2

_TEMPLATES = jinja2.Environment(  # one for all pages: it compiles each template once
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


def rendered(template: str, **content) -> str:
    """The page that a template of this folder makes of some content."""
    return _TEMPLATES.get_template(template).render(**content)
