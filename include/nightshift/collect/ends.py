"""What an answer says of rows that are not in it: how many there are, and that others follow.

There is no one way to say so. Names are compared without case and underscores; they are looked for at the top of an
answer, beside its list of records, and in the objects there that are usually about pages. Numbers may be text.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

TOTALS = {
    "total", "count", "totalcount", "totalresults", "totalitems", "totalrecords", "totalelements", "totalrows",
    "numfound", "nummatched", "numbermatched", "matched", "@odata.count",
}  # fmt: skip
NEXT = {
    "next", "nextpage", "nextcursor", "nexttoken", "nextpagetoken", "nexturl", "nextlink", "nextmarker", "nextoffset",
    "nextrecordsurl", "@odata.nextlink", "continuationtoken",
}  # fmt: skip
MORE = {"hasmore", "hasnext", "hasnextpage", "more", "istruncated", "truncated", "exceededtransferlimit"}
LAST = {"last", "islast", "islastpage", "lastpage", "done"}
PAGES = {"totalpages", "pagecount", "numpages", "pages", "lastpage"}
ABOUT_PAGES = {"links", "link", "meta", "metadata", "paging", "pagination", "page", "pageinfo", "context"}
LINKED = re.compile(r"<([^>]*)>[^,<]*;\s*rel=(?:next\b|\"(?:[^\"]*\s)?next[\s\"])", re.IGNORECASE)
# Of rows: the bytes of an answer are another matter.
RANGE = re.compile(r"(?!bytes\b)(?:\w+\s+)?[\d*-]+/(\d+)")
DIGITS = re.compile(r"[0-9]{1,18}")


class _Absent:
    """No such key: another thing than null."""


ABSENT = _Absent()


def at(said: Any, key: str) -> Any:
    """Return what an answer holds at a key, or at a path of keys (``meta.next``); ABSENT if it has none."""
    if isinstance(said, dict) and key in said:
        return said[key]
    first, _, rest = key.partition(".")
    if rest and isinstance(said, dict) and first in said:
        return at(said[first], rest)
    return ABSENT


def as_number(value: Any) -> int | None:
    """Return a count; of Elasticsearch, the value of one. None for what is none."""
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, str) and DIGITS.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def totals(headers: Mapping[str, str], said: Any, records_key: str | None) -> dict[str, int]:
    """Return what may be the number of all rows, by where it is said."""
    found = {place: as_number(value) for place, name, value in _sayings(said, records_key) if name in TOTALS}
    found["X-Total-Count"] = as_number(headers.get("x-total-count", ""))
    ranged = RANGE.fullmatch(headers.get("content-range", ""))
    found["Content-Range"] = as_number(ranged[1]) if ranged else None
    return {place: count for place, count in found.items() if count is not None}


def follows(headers: Mapping[str, str], said: Any, records_key: str | None) -> str | None:
    """Return in words what says that others follow this answer, None if nothing does."""
    linked = LINKED.search(headers.get("link", ""))
    if linked:
        return f"has a next page, '{linked[1]}' (Link)"
    for place, name, value in _sayings(said, records_key):
        leads = value.get("href", value.get("url")) if isinstance(value, dict) else value
        if name in NEXT and isinstance(leads, str | int) and leads:
            return f"has a next page, {leads!r} ('{place}')"
        ends = (name in MORE and value is True, name in LAST and value is False)
        if any(ends) or (name in PAGES and (as_number(value) or 0) > 1):
            return f"says '{place}': {str(value).lower()}"
    return None


def _sayings(said: Any, records_key: str | None) -> Iterator[tuple[str, str, Any]]:
    """Yield (path, folded name, value) of what an answer says of itself."""
    parent = (records_key or "").rpartition(".")[0]
    for place in dict.fromkeys(("", parent)):
        beside = at(said, place) if place else said
        for key, value in beside.items() if isinstance(beside, dict) else ():
            path = f"{place}.{key}" if place else key
            yield path, _folded(key), value
            if _folded(key) in ABOUT_PAGES:
                yield from ((f"{path}.{name}", _folded(name), each) for name, each in _within(value))


def _within(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    for link in value if isinstance(value, list) else ():  # as STAC and FHIR have them
        relation = link.get("rel", link.get("relation")) if isinstance(link, dict) else None
        if isinstance(relation, str):
            yield relation, link


def _folded(key: str) -> str:
    return key.replace("_", "").lower()
