"""Words and formulas of notebooks in pages."""

from mia_lib.reporting.executed import _unbroken
from mia_lib.reporting.prose import formula, plain


def test_words_in_a_line_keep_their_punctuation_and_blocks_are_parted():
    assert plain("<p>whether it knows a <em>person</em>, and <code>who</code>.</p><p>Then</p>") == (
        "whether it knows a person, and who. Then"
    )


def test_a_named_function_stands_apart_from_what_it_is_of():
    assert "<mi>log</mi><mspace" in formula(r"-\log p_y") and "<mi>log</mi><mspace" not in formula(r"\log(1 - h)")


def test_whole_sentences_in_a_table_are_words_and_numbers_are_not():
    sentence = "How sure is a model of the right speaker, in nats, or in how much doubt?"
    row = f"<tr><td>{sentence}</td><td>0.912 [0.894, 0.930]</td></tr>"
    assert _unbroken(row).count('class="words"') == 1


def test_a_long_name_in_a_table_breaks_where_it_is_joined_and_is_found_as_one_word():
    row = _unbroken("<tr><th rowspan='3'>pgd:0.05+hamp_output</th><td>0.727</td></tr>")
    assert row.count("<wbr>") == 2 and "pgd:0.05+hamp_output" in plain(row)
