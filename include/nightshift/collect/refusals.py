"""Why a database did not answer a query, what to do, and whether it would answer otherwise the next time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pandas as pd
from sqlalchemy.exc import InvalidRequestError

from nightshift.collect.connection import Connection
from nightshift.errors import SourceError, SourceRefused
from nightshift.specs import Source

# By the beginning of SQLSTATE, the longest first: what to do.
REMEDIES = {
    "42P01": "check the table's name, and that it is there at this hour",
    "42501": "grant it to the connection's login",
    "57014": "make the query faster, or raise statement_timeout",
    "22": "a value is not what the query takes it for: mend the query, or the value upstream",
    "25": "a source is only read: give one SELECT",
    "42": "mend connector.query",
}
# These are answered the same however often they are asked. A missing table may be on its way.
LASTING = ("0A", "22", "23", "25", "42", "54")
OTHERWISE = "check that the database is up and the query is right"
UNICODE = "its bytes are of another encoding: convert the text in the query, or set the connection's client_encoding"
UNSAYABLE = "the driver has no value for it: CAST the column to text in the query"


@contextmanager
def told(source: Source, connection: Connection, batch_date: date) -> Iterator[None]:
    """Say what a driver's error means: SourceRefused if another try would be answered the same."""
    try:
        yield
    except SourceError as error:
        cause = getattr(error.__context__, "orig", None) or error.__context__
        raise (_meaning(source, connection, batch_date, cause) if cause else error) from None
    except (ValueError, OverflowError) as error:
        raise _meaning(source, connection, batch_date, error) from None


def declared_once(
    source: Source, connection: Connection, rows: pd.DataFrame, *, beside: str | None = None
) -> pd.DataFrame:
    """Return the rows without what the source does not declare, if it says so, but with the column ``beside``.

    Raises SourceRefused if a column that is left is there twice.
    """
    if source.other_columns == "ignore":
        wanted = {*source.columns, beside}
        rows = rows.loc[:, [name in wanted for name in rows.columns]]
    return named_once(source, connection, rows)


def named_once(source: Source, connection: Connection, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows. Raises SourceRefused if a column is there twice: which of them is meant would be a guess."""
    twice = rows.columns[rows.columns.duplicated()]
    if len(twice):
        said = connection.failure(
            source, f"column '{twice[0]}' is delivered more than once", "rename one of them"
        )
        raise SourceRefused(str(said))
    return rows


def _meaning(source: Source, connection: Connection, batch_date: date, cause: BaseException) -> SourceError:
    code = str(getattr(cause, "pgcode", None) or "")
    # Not the line of SQL after it: the statement's beginning there is the driver's, not the user's.
    said = f"batch date {batch_date}: {str(cause).partition(chr(10) + 'LINE ')[0]}"
    remedy = next((what for state, what in REMEDIES.items() if code.startswith(state)), OTHERWISE)
    if isinstance(cause, ValueError | OverflowError):
        remedy = UNICODE if isinstance(cause, UnicodeDecodeError) else UNSAYABLE
    elif isinstance(cause, InvalidRequestError):  # the statement ran, and gave nothing to read
        remedy = "give one SELECT, and name its columns"
    elif not code.startswith(LASTING) or code == "42P01":
        return connection.failure(source, said, remedy)
    return SourceRefused(str(connection.failure(source, said, remedy)))
