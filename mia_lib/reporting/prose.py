"""Markdown of notebooks as HTML for pages: formulas as MathML, links to pages in place of notebooks, headings with names."""

import html
import re
from collections.abc import Callable

import latex2mathml.converter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath


def formula(latex: str, display: str = "inline") -> str:
    """A formula as MathML, which browsers draw by themselves; one that cannot be read, as it is written.

    display: `inline` or `block`.
    """
    try:
        drawn = latex2mathml.converter.convert(latex.strip(), display=display)
    except Exception:  # of whatever kind: a library's own errors and IndexError among them
        return f"<code>{html.escape(latex)}</code>"
    named = r"(<mi>(?:log|ln|exp|sin|cos)</mi>)(?!<(?:mo|msub|msup)[^>]*>&#x0002[89];)"
    return re.sub(named, r'\1<mspace width="0.167em" />', drawn)


def plain(markup: str) -> str:
    """The words of some HTML, in one line; what is only seen, such as formulas and styles, is left out."""
    words = re.sub(r"</?(?:a|b|code|em|i|span|strong|wbr)\b[^>]*>", "", markup)  # they part no words
    words = re.sub(r"<(style|math|svg|script)\b.*?</\1>|<[^>]+>", " ", words, flags=re.DOTALL)
    return " ".join(html.unescape(words).split())


class Renderer(IPythonRenderer):
    """Writes HTML. goes_to: the address that a link of a notebook gets in a page; empty: its words stay, without a link."""

    def __init__(self, goes_to: Callable[[str], str]):
        super().__init__(escape=False, exclude_anchor_links=True)
        self.goes_to, self.names = goes_to, list[str]()

    def heading(self, text: str, level: int, **attributes) -> str:
        """A heading, with the name that Jupyter gives it; the same words again get a number."""
        name = plain(text).replace(" ", "-")
        self.names.append(name)
        count = self.names.count(name)
        name = html.escape(name if count == 1 else f"{name}-{count}")
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """A link, where it leads somewhere."""
        goes = self.goes_to(url)
        return f'<a href="{html.escape(goes)}">{text}</a>' if goes else text

    def inline_math(self, body: str) -> str:
        """A formula in a line."""
        return formula(body)

    def block_math(self, body: str) -> str:
        """A formula that stands apart, and may be wider than a phone."""
        return f'<span class="scroll formula">{formula(body, "block")}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        """An environment such as `align`."""
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    def table(self, text: str) -> str:
        """A table, which may be wider than a phone."""
        return f'<div class="scroll"><table>{text}</table></div>'


def markdown(text: str, renderer: Renderer) -> str:
    """Markdown as HTML."""
    return str(MarkdownWithMath(renderer=renderer).render(text))
