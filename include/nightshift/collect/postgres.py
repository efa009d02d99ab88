"""What PostgreSQL can say and Python cannot: infinity, years before 1 and after 9999, bytes that are no text.

Each comes as it is spelled, so that its row is set aside with it: psycopg2 makes up a date, or gives up on all rows.
The driver is an argument: collecting knows no driver.
"""

from collections.abc import Callable
from typing import Any

DATES = {"PYDATE": (1082,), "PYDATETIME": (1114,), "PYDATETIMETZ": (1184,)}
TEXTS = (18, 19, 25, 1042, 1043)  # "char", name, text, char(n), varchar


def as_spelled(driver: Any, connection: Any) -> None:
    """Have this connection read dates and texts one by one. ``driver``: the module psycopg2."""
    extensions = driver.extensions
    for name, oids in DATES.items():
        read = _moment(getattr(extensions, name))
        extensions.register_type(extensions.new_type(oids, f"{name}_AS_SPELLED", read), connection)
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        # Latin-1 is every byte as one letter: the way back to the bytes, and from them to UTF-8.
        connection.set_client_encoding("LATIN1")
        extensions.register_type(extensions.new_type(TEXTS, "TEXT_AS_SPELLED", _text), connection)


def _moment(read: Callable[[Any, Any], Any]) -> Callable[[str | None, Any], Any]:
    def cast(value: str | None, cursor: Any) -> Any:
        if value is None or "infinity" in value or value.endswith("BC"):
            return value
        try:
            return read(value, cursor)
        except Exception:  # noqa: BLE001 ValueError, OverflowError or the driver's own: Python has no such date
            return value

    return cast


def _text(value: str | None, _: Any) -> str | bytes | None:
    if value is None:
        return None
    spelled = value.encode("latin-1")
    try:
        return spelled.decode("utf-8")
    except UnicodeDecodeError:
        return spelled
