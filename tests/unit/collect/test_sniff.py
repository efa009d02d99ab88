"""What dialect a file seems to be in: found in files that were written in one, and told where it is open."""

import io
from datetime import date, datetime, timedelta

import pytest

from nightshift.collect.delimited import read_csv
from nightshift.collect.sniff import looks_like, sniff
from nightshift.specs import Dialect

FIRST = datetime(2004, 3, 10, 18)  # noqa: DTZ001 text without a zone


def written(dialect: Dialect, *, rows: int = 400, top: str = "", end: str = "\n", tail: str = "") -> bytes:
    """Return an hourly table in a dialect: a place, a day, an instant, measurements, money, a number of people."""

    def number(value: float, digits: int) -> str:
        text = f"{value:,.{digits}f}" if dialect.thousands else f"{value:.{digits}f}"
        return text.translate({ord(","): dialect.thousands, ord("."): dialect.decimal})

    out = io.StringIO(newline="")
    mark = dialect.delimiter
    out.write(top + mark.join(["place", "day", "at", "CO(GT)", "price", "people"]) + tail + end)
    for n in range(rows):
        at = FIRST + timedelta(hours=n)
        missing = dialect.nulls[0] if dialect.nulls and n % 7 == 3 else number(2.6 + n % 5 / 10, 1)
        place = dialect.quote + f"Zürich{mark} Nord" + dialect.quote if dialect.quote else "Zürich"
        fields = [place, at.strftime(dialect.dates or "%Y-%m-%d")]
        fields += [at.strftime(dialect.timestamps or "%Y-%m-%dT%H:%M:%S"), missing]
        fields += [number(1000 + 17.25 * n, 2), number(1200 + n * 3, 0)]
        out.write(mark.join(fields) + tail + end)
    return out.getvalue().encode(dialect.encoding)


WRITTEN = [
    Dialect(),
    Dialect(delimiter=";", decimal=",", dates="%d/%m/%Y", timestamps="%d/%m/%Y %H.%M"),
    Dialect(delimiter=";", decimal=",", thousands=".", encoding="cp1252", dates="%d.%m.%Y"),
    Dialect(delimiter="\t", quote="'", thousands=","),
    Dialect(delimiter="|", encoding="utf-16", dates="%m/%d/%Y", timestamps="%m/%d/%Y %I:%M %p"),
    Dialect(delimiter=";", decimal=",", thousands=" ", timestamps="%Y-%m-%d %H:%M:%S,%f"),
    Dialect(delimiter=";", decimal=",", nulls=("-200",), dates="%d-%b-%Y"),
    Dialect(nulls=("NA",), dates="%m/%d/%y", thousands="'"),
    Dialect(delimiter="~", dates="%Y%m%d", timestamps="%d.%m.%y %H:%M"),
]


@pytest.mark.parametrize("dialect", WRITTEN, ids=lambda dialect: f"{dialect.delimiter!r} {dialect.dates}")
def test_the_dialect_that_a_file_was_written_in_is_found(dialect: Dialect) -> None:
    if dialect.timestamps and "," in dialect.timestamps:
        dialect = dialect.model_copy(update={"timestamps": None})
    found = sniff(written(dialect))
    assert found.dialect.model_dump() == {**dialect.model_dump(), "quote": found.dialect.quote}
    assert len(read_csv(written(dialect), found.dialect)) == 400


def test_lines_above_the_header_and_delimiters_at_the_ends_are_found() -> None:
    dialect = Dialect(delimiter=";", decimal=",", skip_lines=3, nulls=("-200",))
    top = "Air quality, hourly; station 7\nexported 10/03/2004\n\n"
    content = written(dialect, top=top, tail=";;", end="\r\n") + b";;;;;;;\r\n" * 20
    found = sniff(content).dialect
    assert (found.delimiter, found.skip_lines, found.decimal, found.nulls) == (";", 3, ",", ("-200",))
    assert len(read_csv(content, found)) == 400
    assert list(read_csv(content, found).columns)[-1] == "people"


def test_lines_that_begin_with_a_hash_are_comments_unless_they_are_as_wide_as_the_table() -> None:
    rows = [f"{n};{n % 7},5" for n in range(60)]
    top = ["# Station 7; exported 2004; 10:00", "#"]
    content = "\n".join([*top, "id;amount", *rows[:30], "# sensor changed", *rows[30:]]).encode()
    found = sniff(content)
    assert (found.dialect.delimiter, found.dialect.comment, found.dialect.skip_lines) == (";", "#", 0)
    assert (found.dialect.decimal, found.doubts) == (",", ())
    assert len(read_csv(content, found.dialect)) == 60
    assert 'write connector.dialect: {delimiter: ";", decimal: ",", comment: "#"}' in looks_like(
        content, Dialect()
    )
    banner = "\n".join(["Station 7", top[1], "id;amount", *rows]).encode()
    assert sniff(banner).dialect.skip_lines == 2
    assert len(read_csv(banner, sniff(banner).dialect)) == 60
    tags = "\n".join(["tag;n", *(f"#{n % 3};{n}" if n % 2 else f"x{n};{n}" for n in range(60))]).encode()
    assert sniff(tags).dialect.comment is None
    assert len(read_csv(tags, sniff(tags).dialect)) == 60


def test_an_order_of_day_and_month_that_is_open_is_told() -> None:
    days = [date(2013, 1 + n % 12, 1 + n % 11) for n in range(60)]
    content = "day,n\n" + "".join(f"{day:%d/%m/%Y},{n}\n" for n, day in enumerate(days))
    found = sniff(content.encode())
    assert found.dialect.dates in ("%d/%m/%Y", "%m/%d/%Y")
    assert any(
        "'day', such as 01/01/2013, reads as %d/%m/%Y and as %m/%d/%Y" in doubt for doubt in found.doubts
    )


def test_the_order_of_the_file_says_which_of_two_orders_is_meant() -> None:
    days = [date(2013, 1, 1) + timedelta(n) for n in range(12)] + [
        date(2013, 2, 1) + timedelta(n) for n in range(12)
    ]
    content = "day,n\n" + "".join(f"{day:%m/%d/%Y},{n}\n" for n, day in enumerate(days))
    assert sniff(content.encode()).dialect.dates == "%m/%d/%Y"


def test_days_that_only_come_late_in_the_file_count() -> None:
    days = [date(2013, 5, 1 + n % 12) for n in range(30_000)] + [date(2013, 5, 29)] * 800
    content = "n,day\n" + "".join(f"{n},{day:%m/%d/%Y}\n" for n, day in enumerate(days))
    assert sniff(content.encode()).dialect.dates == "%m/%d/%Y"


def test_a_comma_that_could_be_either_is_told() -> None:
    found = sniff(b"id\tamount\n" + b"".join(b"%d\t%d,%03d\n" % (n, 1 + n % 9, 100 + n) for n in range(50)))
    assert found.dialect.thousands == ","
    assert any(
        "1,100 reads in two ways; ',' is taken for between thousands" in doubt for doubt in found.doubts
    )


def test_an_encoding_that_is_a_guess_is_told() -> None:
    found = sniff("name,n\nKäse,1\n".encode("cp1252"))
    assert found.dialect.encoding == "cp1252"
    assert "encoding: not UTF-8; cp1252 is a guess" in found.doubts[0]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"one\ntwo\n", b"\x00\x01\x02", b"PAR1\x00\x00\xff"])
def test_what_is_no_table_is_in_no_dialect(content: bytes) -> None:
    assert sniff(content).dialect.delimiter == ","


def test_a_far_number_stands_for_nothing_only_where_it_repeats_and_is_far() -> None:
    rows = [(n, 20 + n % 3, -99 + n * 7, 0 if n else -200) for n in range(40)]
    content = "n,a,b,c\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    assert sniff(content.encode()).dialect.nulls == ()


def test_a_word_for_nothing_among_numbers_is_told_where_it_stands_among_texts_too() -> None:
    rows = [(n, ["NA", "DE", "FR"][n % 3], "NA" if n % 4 == 0 else n) for n in range(60)]
    found = sniff(("n,country,sold\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)).encode())
    assert found.dialect.nulls == ("NA",)
    assert found.doubts == ("nulls: NA is taken for nothing in 'country' too, in 20 of 60 texts",)


def test_a_header_may_hold_line_ends_in_quotes() -> None:
    rows = "".join(f"{n};{n % 7};x\n" for n in range(60))
    content = f'Export\nof today\n"id\n(""own"")";"sold\nnet";c\n{rows}'.encode()
    found = sniff(content).dialect
    assert (found.delimiter, found.skip_lines) == (";", 2)
    assert list(read_csv(content, found).columns) == ['id\n("own")', "sold\nnet", "c"]


def test_a_quote_within_a_field_opens_none() -> None:
    rows = "".join(f'{n};{n % 9}" pipe;x\n' if n % 3 else f"{n};pipe;x\n" for n in range(60))
    found = sniff(f"id;what;c\n{rows}".encode()).dialect
    assert (found.delimiter, found.skip_lines) == (";", 0)


def test_the_line_that_tells_excel_the_delimiter_is_no_header() -> None:
    content = ("sep=;\nid;sold\n" + "".join(f"{n};{n % 7}\n" for n in range(60))).encode()
    found = sniff(content).dialect
    assert (found.delimiter, found.skip_lines, list(read_csv(content, found).columns)) == (
        ";",
        1,
        ["id", "sold"],
    )


def test_what_to_write_is_told_as_yaml() -> None:
    dialect = Dialect(delimiter="\t", decimal=",", encoding="cp1252", nulls=("-200",))
    said = looks_like(written(dialect), Dialect())
    assert 'connector.dialect: {delimiter: "\\t"' in said
    assert 'decimal: ","' in said
    assert 'nulls: ["-200"]' in said
    assert looks_like(written(dialect), dialect) == ""
    assert (
        looks_like(written(Dialect()), dialect)
        == "it looks like the plain dialect: take connector.dialect away"
    )
