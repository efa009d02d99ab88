"""The pages of an HTTP source, and how they end: with all rows there are, or with an error."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

import pandas as pd

from nightshift.collect.delimited import NotCsv, read_csv
from nightshift.collect.ends import ABSENT, as_number, at, follows, totals
from nightshift.collect.request import Answer, Api, as_json, get, resolved, server
from nightshift.collect.sniff import looks_like
from nightshift.errors import did_you_mean
from nightshift.specs.source import Paging

PARTIAL = 206
# What an answer says of itself that failed, or was given up before its end.
WRONG: tuple[tuple[str, str | bool], ...] = (
    ("success", False),
    ("ok", False),
    ("status", "error"),
    ("status", "fail"),
    ("timed_out", True),
    ("incomplete_results", True),
)
MEND = "mend the API, then run the date again"
BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
# Kinds of content that an API answers errors in, whatever was asked for.
NOT_CSV = ("application/json", "application/problem+json", "text/html")


@dataclass
class Pages:
    """What the pages of one night have said so far."""

    api: Api
    rows: int = 0
    answers: int = 0
    # By key of the answer that may hold the number of all rows: the least and the most that an answer said.
    totals: dict[str, tuple[int, int]] = field(default_factory=dict)
    # Whether each answer had at that key the number of its own rows.
    own: dict[str, bool] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    columns: list[str] | None = None
    has_next: bool = False

    @property
    def paging(self) -> Paging:
        """How the source continues; an undeclared paging is one answer that must hold everything."""
        return self.api.spec.paging or Paging(kind="single")

    @property
    def has_all(self) -> bool:
        """Whether a total is known, and as many rows have come."""
        return not self.has_next and any(self.rows in said for said in self.totals.values())

    def take(self, answer: Answer) -> Any:
        """Return the records of one more page (CSV: a frame). Raises SourceError for an error or a repeated page."""
        records: Any
        if self.api.spec.format == "csv":
            records, said = self._frame(answer), None
            content = answer.content
        else:
            said = as_json(self.api, answer)
            _require_no_error(self.api, said)
            records = _records(self.api, said)
            content = json.dumps(records).encode()
        self._count(answer, said, len(records))
        self.answers += 1
        self.rows += len(records)
        mark = hashlib.sha256(content).hexdigest()
        if len(records) and mark in self.seen:
            raise self.api.failure(
                f"page {self.answers} repeats a page before it",
                f"is '{self.paging.parameter}' the page's parameter?",
            )
        self.seen.add(mark)
        return records

    def end(self) -> None:
        """Raise SourceError if the answers named more rows than have come; of a declared total, also if fewer."""
        declared = isinstance(self.paging.total, str)
        for key, (least, most) in self.totals.items():
            if self.own[key] and self.answers > 1 and not declared:
                continue  # it is a number of the page
            if self.rows < least or (declared and self.rows > most):
                total = least if self.rows < least else most
                raise self.api.failure(
                    f"the answers say '{key}': {total}, and {self.rows} rows came",
                    "declare connector.paging if there are more pages, else mend the API; if the key is no number of "
                    "all rows, write paging.total: false"
                    + ("" if self.api.spec.paging else " with paging.kind: single"),
                )

    def _count(self, answer: Answer, said: Any, rows: int) -> None:
        if self.paging.total is False or (self.api.spec.paging and self.paging.kind == "single"):
            return
        self.has_next = at(said, "next") not in (ABSENT, None, "", False)
        if not rows and self.answers:
            return  # a total that comes with the rows, as count(*) OVER (), is 0 on the page after the last
        found = self._totals(answer, said)
        for key, total in found.items():
            if self.answers == 0 or key in self.totals:
                # Rows that come or go while pages are read change a total: no reason to stop counting.
                least, most = self.totals.get(key, (total, total))
                self.totals[key] = min(least, total), max(most, total)
                self.own[key] = self.own.get(key, True) and total == rows

    def _totals(self, answer: Answer, said: Any) -> dict[str, int]:
        declared = self.paging.total
        if not isinstance(declared, str):
            return totals(answer.headers, said, self.api.spec.records_key)
        total = as_number(at(said, declared))
        if total is None:
            raise self.api.failure(f"no answer has a number '{declared}'", "check paging.total")
        return {declared: total}

    def _frame(self, answer: Answer) -> pd.DataFrame:
        kind = answer.kind.partition(";")[0].strip().lower()
        if kind in NOT_CSV:
            said = self.api.shown(answer.content.decode(errors="replace"))
            raise self.api.failure(
                f"the answer is {kind}, not CSV: {said}", "check connector.format and the endpoint"
            )
        try:
            frame = read_csv(answer.content, self.api.source.dialect)
        except NotCsv as error:
            hint = looks_like(answer.content, self.api.source.dialect)
            raise self.api.failure(error, hint or "check connector.format and the endpoint") from error
        columns = list(frame.columns)
        if self.columns is not None and columns != self.columns:
            raise self.api.failure(
                f"page {self.answers + 1} has other columns than the first: {columns!r:.120}", MEND
            )
        self.columns = columns
        return frame


def pages(api: Api) -> Iterator[Any]:
    """Yield each page's records (CSV: a frame), in order.

    Raises:
        SourceError: the pages end before all rows have come, do not end, or one of them is no page.
    """
    state, parameters = Pages(api), api.spec.parameters
    size = {state.paging.size_parameter: str(state.paging.size)} if state.paging.size_parameter else {}
    if state.paging.kind == "page":
        yield from _numbered(state, {**parameters, **size})
    elif state.paging.kind == "cursor":
        yield from _chained(state, {**parameters, **size})
    else:
        yield from _single(state, parameters)
    state.end()


def _single(state: Pages, parameters: dict[str, str]) -> Iterator[Any]:
    api = state.api
    answer = get(api, api.spec.endpoint, parameters)
    yield state.take(answer)
    if api.spec.paging is None:
        said = as_json(api, answer) if api.spec.format == "json" else None
        more = "is a part of it (HTTP 206)" if answer.status == PARTIAL else None
        more = more or follows(answer.headers, said, api.spec.records_key)
        if more:
            raise api.failure(
                f"the answer {api.shown(more, 160)[1:-1]}",
                "declare connector.paging, or paging: {kind: single} if one answer is all",
            )


def _numbered(state: Pages, parameters: dict[str, str]) -> Iterator[Any]:
    api, paging = state.api, state.paging
    # Up to the first empty page, not the first short one: a server may cap the size below what was asked.
    for number in islice(count(paging.first), paging.max_pages):
        # A server that knows its end may say so by a status, once all rows have come or where it is declared.
        ends = paging.end_status or (404 if state.has_all else None)
        asked = {**parameters, paging.parameter: str(number)}
        answer = get(api, api.spec.endpoint, asked, ends=ends if state.answers else None)
        if answer.status == ends or (answer.status == 204 and state.answers):
            return
        records = state.take(answer)
        if not len(records):
            if state.answers == 1:
                yield records
            return
        yield records
    raise api.failure(f"no end after {paging.max_pages} pages", "raise paging.max_pages, or mend the API")


def _chained(state: Pages, parameters: dict[str, str]) -> Iterator[Any]:
    api, paging = state.api, state.paging
    place, asked = api.spec.endpoint, parameters
    seen: set[str] = set()
    for _ in range(paging.max_pages):
        answer = get(api, place, asked)
        yield state.take(answer)
        token = _next(state, as_json(api, answer))
        if token is None:
            return
        if token in seen:
            raise api.failure(
                f"cursor {api.shown(token, 60)} comes back: the pages run in a circle", "mend the API"
            )
        seen.add(token)
        place, asked = _follow(api, answer, token, parameters, paging)
    raise api.failure(f"no end after {paging.max_pages} pages", "raise paging.max_pages, or mend the API")


def _next(state: Pages, said: Any) -> str | None:
    """Return the token of the next page, or None at the end. A key that no answer has is no end."""
    api, paging = state.api, state.paging
    if not isinstance(said, dict):
        raise api.failure(f"a JSON {kind_of(said)} holds no '{paging.next_key}'", "check connector.paging")
    token = at(said, paging.next_key)
    if token is ABSENT and state.answers == 1 and not (paging.next_may_be_absent or state.has_all):
        raise api.failure(
            f"the first answer has no key '{paging.next_key}'{did_you_mean(paging.next_key, map(str, said))}",
            "check paging.next_key; if the last page has none, write paging.next_may_be_absent: true",
        )
    if token is ABSENT or token in (None, "", False):
        return None
    if isinstance(token, bool) or not isinstance(token, str | int):
        raise api.failure(
            f"'{paging.next_key}' is a JSON {kind_of(token)}, not text", "check paging.next_key"
        )
    return str(token)


def _is_link(answer: Answer, token: str) -> bool:
    """Return whether a token is an address, whole or relative. One of base64 may begin with a slash as well."""
    if not token.startswith("/"):
        return token.startswith(("http://", "https://", "?"))
    beside = token.split("/")[1] == answer.url.path.split("/")[1]
    return beside or not (len(token) % 4 == 0 and BASE64.fullmatch(token))


def _follow(
    api: Api, answer: Answer, token: str, parameters: dict[str, str], paging: Paging
) -> tuple[str, dict[str, str]]:
    """Return where the cursor leads: a URL as it stands, on the same server; a token as a parameter."""
    if not _is_link(answer, token):
        return api.spec.endpoint, {**parameters, paging.parameter: token}
    url, home = resolved(api, answer, token), api.client.base_url
    if server(url) == server(home):
        return str(url), {}
    if url.host == home.host and url.port is None and home.port is None:
        # Behind a proxy that ends TLS, an API may well name itself by the other scheme: it is asked as declared.
        return str(url.copy_with(scheme=home.scheme)), {}
    # The client carries the connection's login: it goes to no other server.
    there, here = ("{}://{}:{}".format(*server(one)) for one in (url, home))
    raise api.failure(
        f"the cursor leads to another server, {there}, not {here}", "mend the API, or use a token"
    )


def _require_no_error(api: Api, said: Any) -> None:
    """Raise SourceError if an answer says that it is an error, whatever its status."""
    if not isinstance(said, dict):
        return
    for key in ("error", "errors"):
        if said.get(key):
            raise api.failure(f"the answer says '{key}': {api.shown(json.dumps(said[key]), 200)}", MEND)
    for key, wrong in WRONG:
        if said.get(key) is wrong or (isinstance(wrong, str) and said.get(key) == wrong):
            raise api.failure(
                f"the answer says '{key}': {json.dumps(wrong)}, {api.shown(json.dumps(said))}", MEND
            )


def _records(api: Api, said: Any) -> list[dict[str, Any]]:
    key, content = api.spec.records_key, said
    if key is not None:
        content = at(said, key)
        if content is ABSENT:
            known = map(str, said) if isinstance(said, dict) else ()
            raise api.failure(
                f"the answer has no key '{key}'{did_you_mean(key, known)}", "check connector.records_key"
            )
        content = [] if content is None else content  # how Go, among others, spells an empty list
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise api.failure(
            f"expected a list of objects, got a JSON {kind_of(content)}",
            "name the list in connector.records_key",
        )
    return content


def kind_of(content: object) -> str:
    """Return JSON's word for a value."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(content), "number")
