"""Captions are shown as they are, whatever they look like: folder names come from outside."""

import base64

import numpy as np

from mia_lib.reporting.embed import FIGURE, caption_in_markdown, picture, player

EVIL = "<img src=x onerror='alert(1)'> \"&"


def test_a_player_shows_a_caption_as_text():
    page = player(np.zeros(160, np.int16), 16_000, EVIL)
    assert "<img" not in page and "&lt;img src=x onerror=&#x27;alert(1)&#x27;&gt; &quot;&amp;" in page
    assert page.count("<") == 6  # figure, figcaption and audio, each opened and closed


def test_a_picture_says_its_caption_its_figure_and_half_the_width_of_its_dots():
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (600).to_bytes(4, "big")
    data, about = picture(png, EVIL, "04_attack-roc")
    assert base64.b64decode(data["image/png"]) == png and data["text/plain"] == EVIL
    assert about == {"image/png": {"alt": EVIL, "width": 300}, FIGURE: "04_attack-roc"}


def test_markdown_shows_a_caption_as_text():
    assert (
        caption_in_markdown("p < 0.5 <img src=x onerror=alert(1)>") == "*p &lt; 0.5 &lt;img src=x onerror=alert(1)&gt;*"
    )
    assert caption_in_markdown("A person's voice.") == "*A person's voice.*"
