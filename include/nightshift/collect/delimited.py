"""CSV as text: every value a string, nothing an empty field. Typing is validation's job."""

import csv
import io

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv


class NotCsv(ValueError):
    """Bytes that are not a CSV table."""


def read_csv(content: bytes) -> pd.DataFrame:
    """Return the table in ``content`` (UTF-8, a header line, comma separated); only a header is no rows.

    Raises:
        NotCsv: no byte at all, not UTF-8, or rows whose number of fields is not the header's (a file cut
            short, a comma that is not quoted). pandas would pad or shift such rows; here they are refused.
    """
    names = _header(content)
    options = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(content),
            read_options=arrow_csv.ReadOptions(use_threads=False),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=options,
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise NotCsv(f"not a CSV table: {error}") from error
    frame = pd.DataFrame({n: column.to_pandas() for n, column in enumerate(table.columns)}, dtype="str")
    frame.columns = pd.Index(table.column_names, dtype=object)
    return frame


def _header(content: bytes) -> list[str]:
    if not content.strip():
        raise NotCsv("empty: zero bytes, not even a header line")
    try:
        lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
        return next(csv.reader(lines))
    except (UnicodeDecodeError, csv.Error) as error:
        raise NotCsv(f"not UTF-8 text: {error}") from error
