"""What people and data wrote is text: no markup, and no link where a renderer looks for addresses by itself."""

import re

import pytest

from nightshift.markdown import plain, unlinked

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


def test_markup_is_text() -> None:
    assert plain("# **x** [a](b) <img>\n- y & `z`") == (
        "\\# \\*\\*x\\*\\* \\[a\\]\\(b\\) &lt;img&gt; \\- y &amp; \\`z\\`"
    )
    assert plain("x" * 900) == "x" * 500
