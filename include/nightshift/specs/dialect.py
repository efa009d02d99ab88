"""How a delimited file spells its table: what stands between fields, in numbers, in dates, and for nothing."""

import codecs
import re
from datetime import UTC, datetime
from itertools import combinations
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator

from nightshift.specs.parts import Spec

SPACES = " \u00a0\u202f\u2009"
THOUSANDS = frozenset(".,'\u2019_" + SPACES)
LONGEST_FORMAT = 60
# What strptime reads the same in every locale and on every machine.
DIRECTIVES = frozenset("YymbBdjHIpMSfzaA%")
MONTHS, HOURS = frozenset("mbB"), frozenset("HI")


def known_zone(value: str) -> str:
    """Return ``value`` if it names an IANA time zone. Raises ValueError."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("no such IANA time zone") from error
    return value


Zone = Annotated[str, AfterValidator(known_zone)]


class Dialect(Spec):
    """The spelling of a CSV source. What is delivered is landed so; it is read when a batch is judged."""

    delimiter: str = ","
    # Empty: no field is quoted.
    quote: str = '"'
    decimal: str = "."
    thousands: str | None = None
    encoding: str = "utf-8"
    # strptime formats. Without: year first, 2013-02-08 or 2013/02/08, with a time after it for timestamps.
    dates: str | None = None
    timestamps: str | None = None
    # Texts that stand for no value; beside an empty field, which always does.
    nulls: tuple[str, ...] = ()
    # How columns of type boolean spell true and false, to the letter; else true, t, 1 and false, f, 0 in any case.
    true_values: tuple[str, ...] = ()
    false_values: tuple[str, ...] = ()
    # What a line that is no row begins with.
    comment: str | None = None
    # Lines above the header.
    skip_lines: int = Field(default=0, ge=0, le=1000)

    @property
    def bytes_delimiter(self) -> bool:
        """Whether delimiter and quote are single bytes in UTF-8."""
        return self.delimiter.isascii() and self.quote.isascii()

    @field_validator("nulls", "true_values", "false_values", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        for one in value:
            if one is None or isinstance(one, bool):
                raise ValueError(f"YAML reads {one} as no text; put it in quotes as the file spells it")
            if isinstance(one, float):
                raise ValueError(
                    f"YAML reads {one} as a number, which the file may spell otherwise; put it in quotes"
                )
        # -200 in YAML is a number; in the file it is text.
        return tuple(str(one) if isinstance(one, int) else one for one in value)

    @field_validator("delimiter")
    @classmethod
    def _delimits(cls, value: str) -> str:
        if len(value) != 1 or value in "\r\n\0" or value.isalnum():
            raise ValueError(r'give one character, such as ";", "|" or "\t"')
        return value

    @field_validator("quote")
    @classmethod
    def _quotes(cls, value: str) -> str:
        if value and (len(value) != 1 or value in "\r\n\0" or value.isspace() or value.isalnum()):
            raise ValueError('give one character, such as "\'", or "" if no field is quoted')
        return value

    @field_validator("comment")
    @classmethod
    def _begins_a_line(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value in "\r\n\0" or value.isspace() or value.isalnum()):
            raise ValueError('give one character, such as "#"')
        return value

    @field_validator("decimal")
    @classmethod
    def _marks(cls, value: str) -> str:
        if value not in (".", ","):
            raise ValueError('give "." or ","')
        return value

    @field_validator("thousands")
    @classmethod
    def _separates(cls, value: str | None) -> str | None:
        if value is not None and value not in THOUSANDS:
            raise ValueError('give one of ".", ",", "\'", " ", "_"')
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "x".encode(value)
            return codecs.lookup(value).name
        except (LookupError, ValueError) as error:
            raise ValueError(
                "no such text encoding; give one of Python's, such as cp1252 or utf-16"
            ) from error

    @field_validator("dates")
    @classmethod
    def _names_a_day(cls, value: str | None) -> str | None:
        if value is not None and _directives(value) & (HOURS | set("MSfzp")):
            raise ValueError("a date has no time of day; formats with one belong into timestamps")
        return value if value is None else _whole(value)

    @field_validator("timestamps")
    @classmethod
    def _names_an_instant(cls, value: str | None) -> str | None:
        if value is not None and not _directives(value) & HOURS:
            raise ValueError("names no hour (%H, or %I with %p)")
        return value if value is None else _whole(value)

    @model_validator(mode="after")
    def _nothing_means_two_things(self) -> "Dialect":
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both '{self.decimal}'")
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both '{self.quote}'")
        if self.comment in (self.delimiter, self.quote):
            raise ValueError(f"comment is '{self.comment}', which is delimiter or quote too")
        return self

    @model_validator(mode="after")
    def _both_truths(self) -> "Dialect":
        if bool(self.true_values) != bool(self.false_values):
            raise ValueError("true_values, false_values: give both; only what they list is read")
        means = {"true_values": self.true_values, "false_values": self.false_values, "nulls": self.nulls}
        for one, other in combinations(means, 2):
            both = sorted({*means[one]} & {*means[other]})
            if both:
                raise ValueError(f"'{both[0]}' is in {one} and in {other}")
        return self


def _directives(form: str) -> set[str]:
    return set(re.findall(r"%(.?)", form.replace("%%", "")))


def _whole(form: str) -> str:
    """Return a format that names year, month and day, each once. Raises ValueError."""
    found = re.findall(r"%(.?)", form)
    unknown = sorted(set(found) - DIRECTIVES)
    if unknown:
        raise ValueError(
            f"'%{unknown[0]}' is not known; use {' '.join('%' + d for d in 'YmdHMSfz')} and the like"
        )
    twice = sorted(d for d in set(found) - {"%"} if found.count(d) > 1)
    if twice or len(form) > LONGEST_FORMAT:
        raise ValueError(
            f"'%{twice[0]}' is there twice" if twice else f"longer than {LONGEST_FORMAT} characters"
        )
    day = "j" in found or ("d" in found and MONTHS & set(found))
    if not {"Y", "y"} & set(found) or not day:
        raise ValueError("names no whole day: %Y (or %y), %m and %d, in the order of the file")
    if ("I" in found) != ("p" in found):
        raise ValueError("%I is an hour of twelve and needs %p, and %p means nothing beside %H")
    if set(found) >= HOURS:
        raise ValueError("names the hour twice, as %H and as %I; give one of them")
    return _round_trip(form)


def _round_trip(form: str) -> str:
    # Spelled and read again, never stored.
    instant = datetime(2013, 12, 28, 21, 45, 50, tzinfo=UTC)
    try:
        read = datetime.strptime(instant.strftime(form), form)  # noqa: DTZ007
    except ValueError as error:
        raise ValueError(f"not a format of strptime: {error}") from error
    if read.date() != instant.date():
        raise ValueError("does not read the day that it spells")
    return form
