"""Pictures and sounds as notebooks and pages hold them. Captions are plain text: what looks like markup is shown as it is."""

import base64
import html
import io

import numpy as np
import soundfile

from mia_lib.reporting.looks import DOTS

FIGURE = "mia_lib_figure"
"""Where an output of a notebook says which figure it is."""
FIGURES = "figures.json"
"""Where a part of a run says in which order its figures were shown."""


def picture(png: bytes, caption: str, figure: str) -> tuple[dict, dict]:
    """A picture as an output of a notebook: its data and what is said of them, with its caption as what is read out in its
    place.

    png: with `looks.DOTS` dots an inch. figure: its file's name in the run's `figures`, without ending.
    """
    width = round(96 / DOTS * int.from_bytes(png[16:20], "big"))  # where a PNG says how wide it is
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": caption}
    return data, {"image/png": {"alt": caption, "width": width}, FIGURE: figure}


def drawing(svg: str, alt: str) -> str:
    """A drawing in a page, with words for those who do not see it."""
    named = svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt)}" ', 1)
    return f'<div class="scroll drawing">{named}</div>'


def dots(png: bytes, alt: str, width: int | None = None) -> str:
    """A picture of dots in a page, with words for those who do not see it."""
    size = f' width="{width}"' if width else ""
    data = base64.b64encode(png).decode()
    return f'<img class="dots" src="data:image/png;base64,{data}" alt="{html.escape(alt)}"{size}>'


def player(samples: np.ndarray, rate: int, caption: str) -> str:
    """A player of samples [n] (int16, or full scale 1), below its caption."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure style="display:inline-block;margin:.5em"><figcaption>{html.escape(caption)}</figcaption>'
        f'<audio controls src="data:audio/wav;base64,{data}"></audio></figure>'
    )


def caption_in_markdown(caption: str) -> str:
    """A caption in italics, for Markdown, in which HTML would have an effect."""
    return f"*{html.escape(caption, quote=False)}*"
