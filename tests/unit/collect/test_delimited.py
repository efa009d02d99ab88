"""CSV: read as Python's csv module reads it, to the last byte, or refused with its line."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nightshift.collect.delimited import NotCsv, NotPlain, frames_of, read_csv
from nightshift.specs import Dialect

MEGABYTE = 2**20


@pytest.fixture(autouse=True, scope="module")
def fields_of_any_size():
    before = csv.field_size_limit(2**30)
    yield
    csv.field_size_limit(before)


def by_csv(content: bytes, dialect: Dialect = Dialect()) -> list[list[str]]:  # noqa: B008 frozen
    """Return what Python's csv module reads, without blank lines; it cannot tell "" from nothing."""
    lines = io.StringIO(content.decode(dialect.encoding).removeprefix("\ufeff"), newline="")
    asked = {"delimiter": dialect.delimiter, "strict": True}
    asked |= {"quotechar": dialect.quote} if dialect.quote else {"quoting": csv.QUOTE_NONE}
    return [row for row in csv.reader(lines, **asked) if any(row)]


def as_lists(frame: pd.DataFrame) -> list[list[str]]:
    return [list(frame.columns), *frame.fillna("").to_numpy().tolist()]


AT_THE_BORDER = b"id,note\r\n" + b'1,"' + b"x" * (MEGABYTE - 13) + b'\r\ny"\r\n2,end\r\n'


@pytest.mark.parametrize(
    "content",
    [
        AT_THE_BORDER,
        AT_THE_BORDER.replace(b"x", b"xyz"),
        b"id,note\n" + b'7,"say ""hi"", she\nsaid"\n' * 120_000,
        b"id,note\n1," + b"z" * (3 * MEGABYTE) + b"\n2,b\n",
        b'id,note\n1,"' + b"z" * (3 * MEGABYTE) + b'"\n2,b\n',
        b"id,note\r\n" + b"12345,abc\r\n" * 300_000,
        b'id,note\n1,5" pipe\n2,"6"" pipe"\n3, "a"\n',
        b"id,note\r1,a\r2,b\r",
        b"id,note\n\n1,a\n\n\n2,b",
        "id,note\n1,äöü\n2,\U0001f600\n".encode(),
    ],
    ids=lambda content: f"{len(content)} bytes",
)
def test_a_file_is_read_as_csv_reads_it_whatever_its_size(content):
    read = as_lists(read_csv(content))
    assert AT_THE_BORDER[MEGABYTE] == ord("\n")
    assert AT_THE_BORDER[MEGABYTE - 1] == ord("\r")
    assert read == by_csv(content)


NAMES = ["id", "note", "more"]
DIALECTS = st.sampled_from(
    [
        Dialect(),
        Dialect(delimiter=";", quote="'"),
        Dialect(delimiter="\t", quote=""),
        Dialect(delimiter="|", encoding="cp1252"),
        Dialect(delimiter="§", encoding="utf-16"),
        Dialect(delimiter=";", encoding="utf-8-sig"),
    ]
)
VALUES = st.text(alphabet="ab ,;|§\t\"'\n\r=é", max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    DIALECTS, st.lists(st.lists(VALUES, min_size=3, max_size=3), max_size=6), st.sampled_from(["\n", "\r\n"])
)
def test_what_a_writer_wrote_is_read_in_any_dialect(dialect, rows, end):
    asked = {"delimiter": dialect.delimiter, "quotechar": dialect.quote, "quoting": csv.QUOTE_ALL}
    if not dialect.quote:
        rows = [["".join(c for c in value if c not in "\t\r\n") for value in row] for row in rows]
        rows = [row for row in rows if any(row)]
        asked |= {"quoting": csv.QUOTE_NONE, "quotechar": None}
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator=end, **asked).writerows([NAMES, *rows])
    assert as_lists(read_csv(written.getvalue().encode(dialect.encoding), dialect)) == [NAMES, *rows]


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet='ab,"\n\r ', max_size=24))
@example('1,"2')
@example('"1"2,3\n')
@example('1,2"3"\n')
@example('1,""\n"",2\r"",""')
@example(',,""')
def test_any_text_is_read_as_csv_reads_it_or_refused(text):
    content = b"id,note\n" + text.encode()
    try:
        expected = by_csv(content)
    except csv.Error:
        with pytest.raises(NotCsv):
            read_csv(content)
        return
    try:
        read = as_lists(read_csv(content))
    except NotCsv:
        # csv hands on lines of any length; a shorter one was cut, a longer one has a comma too many.
        assert any(len(row) != 2 for row in expected)
        return
    lines = [[*row, ""][:2] for row in expected if len(row) > 1 or row[0].strip()]
    assert [row for row in read if any(row)] == [row for row in lines if any(row)]


REFUSED = [
    (b'id,note\n1,"x\n2,y\n3,z\n', "the quote opened on line 2 is never closed"),
    (b'id,note\n1,a\n2,b\n3,"', "the quote opened on line 4 is never closed"),
    (b'id,note\n1,"x"y\n2,z\n', r"line 2: 'y\\n2,z\\n' follows a closing quote"),
    (b'id,"note\n1,2\n', "the quote opened on line 1 is never closed"),
    (b"id,note\n1,a\n2\n", "line 3 has 1 fields, the header has 2: '2'"),
    (b"id,note\n1,a\n\n2,b,c\n", "line 4 has 3 fields, the header has 2: '2,b,c'"),
    (b"id,note\n1,\xe9t\xe9\n", "not UTF-8 text"),
    (b"\n \n\n", "empty: zero bytes"),
    (b",,\n,,\n", "no header line"),
]


@pytest.mark.parametrize(("content", "message"), REFUSED)
def test_a_file_with_no_honest_end_is_refused_by_its_line(content, message):
    with pytest.raises(NotCsv, match=message):
        read_csv(content)


def test_a_quoted_empty_field_is_text_and_an_empty_one_nothing_however_the_file_is_read():
    for rest in (b"", b'3,5" pipe\n'):
        frame = read_csv(b'id,note\n1,""\n2,\n"",x\n' + rest)
        assert frame["note"].tolist()[:3] == ["", pytest.approx(float("nan"), nan_ok=True), "x"]
        assert frame["id"].tolist()[2] == ""


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_an_empty_field_at_the_very_end_is_nothing_behind_a_quoted_one_too(end):
    assert read_csv(b'a,b\n"x",' + end)["b"].isna().all()
    assert read_csv(b'a,b\n"x",""' + end)["b"].to_list() == [""]


def test_lines_above_the_header_and_blank_ones_are_no_rows():
    content = b'Air quality, "Rome"\r\nexported 10/03/2004\r\n\r\nid;CO(GT);;\r\n1;2,6;;\r\n\r\n;;;\r\n2;;;\r\n;;;\r\n'
    frame = read_csv(content, Dialect(delimiter=";", skip_lines=2))
    assert as_lists(frame) == [["id", "CO(GT)"], ["1", "2,6"], ["2", ""]]


@pytest.mark.parametrize("more", ["", 'c,5" pipe\n'], ids=["quoted", "strict"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_that_begins_with_the_mark_is_no_row_and_within_a_field_it_is_text(more, end):
    text = f'# from "Rome, 2004\n#\nid,note\n# a, b, c\na,"x\n# y"\n"#b",# z\n{more}#last'.replace("\n", end)
    frame = read_csv(text.encode(), Dialect(comment="#"))
    assert as_lists(frame)[:3] == [["id", "note"], ["a", f"x{end}# y"], ["#b", "# z"]]
    assert len(frame) == (3 if more else 2)
    above = f"# one{end}id,note{end}a,b{end}".encode()
    assert as_lists(read_csv(above, Dialect(comment="#"))) == [["id", "note"], ["a", "b"]]
    with pytest.raises(NotCsv, match="line 3 has 3 fields"):
        read_csv(f"#{end}id,note{end}a,b,c{end}".encode(), Dialect(comment="#"))
    with pytest.raises(NotCsv, match="no header line"):
        read_csv(b"# one\n# two", Dialect(comment="#"))


def test_a_line_of_delimiters_and_a_space_is_a_row():
    assert as_lists(read_csv(b"a\tb\n\t \n", Dialect(delimiter="\t"))) == [["a", "b"], ["", " "]]


def test_a_column_without_a_name_that_holds_something_is_called_by_its_place():
    assert list(read_csv(b",id\n0,a\n1,b\n").columns) == ["column_1", "id"]
    assert list(read_csv(b"id,\na,\nb,x\n").columns) == ["id", "column_2"]


def test_lines_may_end_with_one_delimiter_more_than_the_header_has():
    assert as_lists(read_csv(b"id,note\n1,a,\n2,b,\n")) == [["id", "note"], ["1", "a"], ["2", "b"]]
    assert as_lists(read_csv(b"id,note,,\n1,a\n2,b,,\n")) == [["id", "note"], ["1", "a"], ["2", "b"]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1"])
def test_text_of_any_encoding_is_read_and_a_byte_order_mark_is_no_part_of_it(encoding):
    content = "id,note\n1,Käse\n".encode(encoding)
    assert as_lists(read_csv(content, Dialect(encoding=encoding))) == [["id", "note"], ["1", "Käse"]]
    with pytest.raises(NotCsv, match="not utf-16 text"):
        read_csv(b"id,note\n1,a\nx", Dialect(encoding="utf-16"))


PARTS = ["a", "b,", '"c"', '"d\n,""e"', "\n", "\r\n", "\r", ",", "#x", '"', " ", "\xe9", "\n\n"]


def in_pieces(content: bytes, dialect: Dialect, piece: int) -> pd.DataFrame | type[Exception]:
    try:
        found = list(frames_of(content, dialect, strictly=False, piece=piece))
    except (NotPlain, NotCsv) as error:
        return type(error)
    assert all(list(frame.columns) == list(found[0].columns) for frame in found)
    return pd.concat(found, ignore_index=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=25).map("".join), st.sampled_from([None, "#"]))
@example('"d\n,""e",b\n"d\n,""e",b\n"d\n,""e",b\n', None)
def test_where_a_file_is_cut_into_pieces_decides_nothing(body, comment):
    content, dialect = f"x,y\n{body}".encode(), Dialect(comment=comment)
    whole = in_pieces(content, dialect, len(content) + 1)
    for piece in (1, 3, 8):
        found = in_pieces(content, dialect, piece)
        if isinstance(whole, pd.DataFrame):
            pd.testing.assert_frame_equal(found, whole)
        else:
            assert found is whole


def test_a_large_file_is_read_in_pieces_of_whole_lines():
    content = b"x,y\n" + b'"a\n""b""",1\n' * 1000
    frames = list(frames_of(content, Dialect(), strictly=False, piece=1000))
    assert (len(frames), sum(map(len, frames))) == (13, 1000)
    assert {value for frame in frames for value in frame["x"]} == {'a\n"b"'}
