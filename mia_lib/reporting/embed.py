"""Pictures and sounds as HTML that needs no other file. Captions are plain text: what looks like markup is shown as it is."""

import base64
import html
import io

import numpy as np
import soundfile


def picture(png: bytes, caption: str) -> str:
    """A picture, with its caption as what is read out in its place."""
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(caption)}" style="max-width:100%">'


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
