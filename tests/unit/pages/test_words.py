"""What people and data wrote is text: no markup, and no link where a renderer looks for addresses by itself."""

import re

import pytest

from nightshift.masks import masked, outlined
from nightshift.pages.words import line, plain, unlinked

# As renderers of GitHub's Markdown find them in plain text, after all escapes are taken away.
FOUND = re.compile(r"https?://[-.\w]|www\.[-.\w]|[-.\w+]+@[-\w]+\.[-\w]+", re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    [
        "see https://evil.example/a?b=c",
        "HTTP://EVIL.example",
        "www.evil.example",
        "WWW.evil.example and more",
        "a.b+c@evil.example",
        "mailto:me@evil.example",
        "http&#58;//evil.example",
        "https:\\//evil.example",
        "x.https://evil.example",
    ],
)
def test_no_address_of_data_is_a_link(text: str) -> None:
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", plain(text)).replace("&amp;", "&")
    assert not FOUND.search(shown)
    assert not FOUND.search(unlinked(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# **x** [a](b) <img>\n- y & `z`", r"\# \*\*x\*\* \[a\](b) &lt;img&gt; - y &amp; \`z\`"),
        ("- x", r"\- x"),
        ("+ x", r"\+ x"),
        ("1. x", r"1\. x"),
        ("12) x", r"12\) x"),
        ("---", r"\---"),
        ("===", r"\==="),
        ("__x__ and ben_b", r"\_\_x\_\_ and ben_b"),
        ("2013-02-08: PSI 0.5", "2013-02-08: PSI 0.5"),
        ("x" * 2_500, "x" * 1_999 + "…"),
    ],
)
def test_markup_is_text(text: str, shown: str) -> None:
    assert line(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("call 212-555-0123 or bob@canary.example", "call [number] or [address]"),
        ("2013-02-08 05:00 212 555 0123", "2013-02-08 05:00 [number]"),
        ("4111 1111 1111 1111", "[number]"),
        ("0.333333333333 of 123,456 rows", "0.333333333333 of 123,456 rows"),
        ("N14228", "N14228"),
    ],
)
def test_addresses_and_long_numbers_are_struck_out(value: str, shown: str) -> None:
    assert masked(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("-12.5", "-12.5"),
        ("1,5", "1,5"),
        ("", ""),
        ("inf", "inf"),
        ("N/A", "N/A"),
        ("2013-02-06 12:00:00", "2013-02-06 12:00:00"),
        ("Jo Smith", "Aa Aaaaa"),
        ("jo@x.org", "aa@a.aaa"),
        ("4111111111111111", "9999999999999999"),
        ("+49 151 2345678", "+99 999 9999999"),
        ("<img src=x>", "<aaa aaa=a>"),
        ("x" * 60, "a" * 40 + "..."),
    ],
)
def test_a_value_that_was_set_aside_shows_how_it_is_wrong_and_nobodys_name(value: str, shown: str) -> None:
    assert outlined(value) == shown
