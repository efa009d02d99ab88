"""The text of a feature module: the sources' numbers and categories, and statistics over the past. Pure."""

import json
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword

import pandas as pd

from nightshift.drafts.inference import NUMBERS, has_classes
from nightshift.drafts.names import is_identifier
from nightshift.drafts.source import prose
from nightshift.errors import RequestError, did_you_mean
from nightshift.specs import FilesConnector, Source
from nightshift.specs.tables import OURS_BESIDE_FEATURES, SYSTEM

LOOK_BACK_DAYS = 28
VALUE_SET = "expect_column_values_to_be_in_set"
SHARED = "    # Rows of the past, known by the cut-off of batch_date: nothing later is handed in.\n"
# A category beyond says little of a row that a model could learn.
MOST_CATEGORIES, ROWS_A_CATEGORY = 50, 5
MEASURED = "a guess, the first that is no key or identifier and varies; take what your target follows"
Rows = Mapping[str, pd.DataFrame]  # what is known of each source, by its name; of some, nothing


@dataclass(frozen=True)
class Entity:
    """What a row is about: ``days`` are columns of the date, ``things`` tell the rows of a date apart.

    ``ahead``: no row of the day is there when it begins, so that what is known is the row before it.
    """

    columns: list[str]
    days: list[str]
    things: list[str]
    ahead: bool


def draft(
    name: str, sources: Sequence[Source], *, owner: str, entity: Sequence[str] = (), rows: Rows | None = None
) -> tuple[str, dict[str, str]]:
    """Return the text of the module ``name``, and the columns left out with why; the first source is what a row is of.

    Raises:
        RequestError: the first source has no such entity column, or there is nothing to learn from.
    """
    main, known = sources[0], rows or {}
    about = _entity(main, list(entity))
    passed, left = _passed(main, about, known.get(main.name))
    taken, statistics = set(passed), list[_Statistic]()
    for source in sources[1:] or sources[:1]:
        statistics.append(_Statistic.of(main, about, source, known, taken))
        taken.add(statistics[-1].name)
    columns = {alias: kind for alias, (_, kind) in passed.items()}
    columns |= {statistic.name: "float" for statistic in statistics}
    of_main = about.ahead or main in sources[1:] or len(sources) == 1 or any(s.of_main for s in statistics)
    look_back = {main.name: LOOK_BACK_DAYS if of_main else 0}
    look_back |= {source.name: LOOK_BACK_DAYS for source in sources[1:]}
    inputs = "".join(f'        "{s}": {{"look_back_days": {days}}},\n' for s, days in look_back.items())
    declared = "".join(f'        "{column}": "{kind}",\n' for column, kind in columns.items())
    text = (
        f'"""{_title(main, about)}\n\n{_time(about)}{_told(left)}\n"""\n\n'
        "from datetime import date\n\nimport pandas as pd\n\n"
        "FEATURES = {\n"
        '    "version": 1,\n'
        f'    "owner": {_text(owner)},\n'
        f'    "entity": {_list(about.columns)},\n'
        f'    "inputs": {{\n{inputs}    }},\n'
        f'    "columns": {{\n{declared}    }},\n'
        "}\n\n\n"
        "def build(inputs: dict[str, pd.DataFrame], batch_date: date) -> pd.DataFrame:\n"
        f'    """Return one row a {_row(about)}: the entity as text, and the declared columns."""\n'
        + _rows(main, about)
        + "".join(statistic.code for statistic in statistics)
        + "    return pd.DataFrame(\n        {\n"
        + "".join(f"            {line},\n" for line in _result(main, about, passed, statistics))
        + "        },\n        index=rows.index,\n    )\n"
    )
    return text, left


def _entity(main: Source, asked: list[str]) -> Entity:
    columns = asked or [n for n in main.key if main.columns[n].type != "timestamp"] or list(main.key)
    for name in columns:
        if name not in main.columns:
            raise RequestError(
                f"--entity: source '{main.name}' has no column '{name}'{did_you_mean(name, main.columns)}"
            )
    days = [name for name in columns if main.columns[name].type == "date"]
    announced = isinstance(main.connector, FilesConnector) and main.connector.offset_days >= 0
    return Entity(columns, days, [name for name in columns if name not in days], bool(days) and not announced)


def _passed(
    main: Source, about: Entity, rows: pd.DataFrame | None
) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """Return, by feature, the column and its type, numbers and categories; and what is left out, with why."""
    found: dict[str, tuple[str, str]] = {}
    left = {}
    day = {*main.events, main.known_at, getattr(main.connector, "date_column", None)}
    for name, column in main.columns.items():
        recurs = about.ahead and name in about.things
        if name in {*main.key, *about.columns, *day} and not recurs:
            continue
        why = _unfit(main, name, rows[name].dropna() if rows is not None else None)
        if why:
            left[name] = why
            continue
        # Of a day's own row nothing is known when the day begins: what is passed on is the last one's. Which
        # hour or place it is, is known: the entity finds the truth, and only a feature can be learned from.
        alias = _alias(f"which_{name}" if recurs else f"{name}_last" if about.ahead else name, found)
        # A number that names something, and comes again, is a category: nothing is to be added up of it.
        found[alias] = (name, "string" if column.type == "string" or is_identifier(name) else "float")
    return found, left


def _unfit(main: Source, name: str, values: pd.Series | None) -> str | None:
    """Return why a column is no feature, or None."""
    kind = main.columns[name].type
    if kind in ("date", "timestamp"):
        return f"a {kind}; make a number of it, such as the days from then to the row's own day"
    named = is_identifier(name)
    if named and values is None:
        return (
            "an identifier by its name, and nothing is collected yet that tells whether its values come again"
        )
    if values is not None and values.nunique() < 2:
        return "the same in every row" if len(values) else "empty in every row"
    if not named and (kind != "string" or name in _sets(main)):
        return None
    if values is None:
        return "text, and nothing is collected yet that tells whether it is a category"
    found = values.nunique()
    few = has_classes(values) or found <= min(MOST_CATEGORIES, len(values) / ROWS_A_CATEGORY)
    what = "an identifier by its name," if named else "text"
    return None if few else f"{what} of {found} different values"


def _sets(source: Source) -> set[str]:
    return {item[VALUE_SET]["column"] for item in source.expectations if VALUE_SET in item}


def _alias(name: str, taken: Container[str] = ()) -> str:
    """Return a name for a feature: plain, not too long, and not one of ``taken``."""
    plain = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_")
    plain = (plain if plain[:1].isalpha() and plain not in OURS else f"x_{plain}")[:36].strip("_")
    numbers = (alias for n in range(2, 1000) if (alias := f"{plain}_{n}") not in taken)
    return plain if plain not in taken else next(numbers)


# Names that predictions and snapshots have of their own.
OURS = {*OURS_BESIDE_FEATURES, *SYSTEM}


def _told(left: Mapping[str, str]) -> str:
    lines = "".join(f"\n  {prose(name)}: {why}" for name, why in left.items())
    return f"\n\nLeft out:{lines}" if left else ""


def _title(main: Source, about: Entity) -> str:
    return f"What is known of a {_row(about)} beforehand, from source {main.name}."


def _row(about: Entity) -> str:
    return prose(" and ".join([*about.things, *(["day"] if about.days else [])])).replace("_", " ")


def _time(about: Entity) -> str:
    if about.ahead:
        return (
            "A row of the night D is about the day D, which has not happened yet. So nothing of D is in it: what\n"
            "is called last is the newest row known when D began, the statistics are of the rows before it."
        )
    return (
        "A row of the night D is about what the source announced for D. The statistics are of older rows, as far\n"
        "as they were known when D began."
    )


def _rows(main: Source, about: Entity) -> str:
    times = [name for name in main.key if main.columns[name].type in ("date", "timestamp")]
    order = _list(["batch_date", *times])
    taken = f'    {_variable(main)} = inputs["{main.name}"].sort_values({order})\n'
    if not about.ahead:
        night = f'{_variable(main)}[{_variable(main)}["batch_date"] == pd.Timestamp(batch_date)]'
        return f'{taken}    rows = {night}.drop_duplicates({_list(about.columns)}, keep="last")\n'
    if not about.things:
        return f"{taken}    rows = {_variable(main)}.tail(1)\n"
    return f'{taken}    rows = {_variable(main)}.drop_duplicates({_list(about.things)}, keep="last")\n'


def _result(
    main: Source, about: Entity, passed: dict[str, tuple[str, str]], statistics: Sequence["_Statistic"]
) -> list[str]:
    lines = [
        f"{_text(name)}: "
        + ("str(batch_date)" if name in about.days and about.ahead else f'rows[{_text(name)}].astype("str")')
        for name in about.columns
    ]
    for alias, (name, kind) in passed.items():
        cast = '.astype("float64")' if kind == "float" else ""
        cast = cast or ("" if main.columns[name].type == "string" else '.astype("str")')
        lines.append(f'"{alias}": rows[{_text(name)}]{cast}')
    return lines + [f'"{statistic.name}": {statistic.value}' for statistic in statistics]


@dataclass(frozen=True)
class _Statistic:
    """One feature over the look-back of a source: its code before the result, and its value in it.

    ``of_main``: it needs older rows of the main source too.
    """

    name: str
    code: str
    value: str
    of_main: bool = False

    @classmethod
    def of(
        cls, main: Source, about: Entity, source: Source, known: Rows, taken: Container[str]
    ) -> "_Statistic":
        """Return a mean over the source's past, by what it shares with the rows, if anything."""
        measured = _measured(source, known.get(source.name))
        code, past = SHARED, _variable(source)
        if past != _variable(main):
            code += f'    {past} = inputs["{source.name}"]\n'
        if measured is None:
            return cls(_alias(f"{source.name}_rows", taken), code, f"float(len({past}))")
        what, before, after = measured
        code += f"    # Of {prose(what)}: {MEASURED}.\n"
        by, of_main = _shared(main, about, source), False
        if by is None and (by := _category(main, about, source, known.get(main.name))):
            # What came of it does not say what it was: that is in the row that announced it.
            of_main, past = True, f"{source.name}_known"
            join = f"{_variable(source)}.merge({_variable(main)}[{_list([*source.key, by])}], on={_list(source.key)})"
            code += f"    {past} = {join}\n"
        name = _alias(f"{what}_mean_{f'by_{by}_' if by else ''}{LOOK_BACK_DAYS}d", taken)
        code += f"    measured = {before}{past}{after}\n"
        if by is None:
            return cls(name, code, "measured.mean()")
        code += f"    {name} = measured.groupby({past}[{_text(by)}]).mean()\n"
        return cls(name, code, f'rows[{_text(by)}].map({name}).astype("float64")', of_main)


def _measured(source: Source, rows: pd.DataFrame | None) -> tuple[str, str, str] | None:
    """Return what of a source has a mean, its name and code around a variable: a number, or a rare text.

    The first number that is no key, no identifier by its name and not the same in every row.
    """
    others = {name: column for name, column in source.columns.items() if name not in source.key}
    numbers = [
        name
        for name, column in others.items()
        if column.type in NUMBERS
        and not is_identifier(name)
        and not _unfit(source, name, rows[name].dropna() if rows is not None else None)
    ]
    numbers.sort(key=lambda name: others[name].type == "boolean")
    if numbers:
        return numbers[0], "", f'[{_text(numbers[0])}].astype("float64")'
    for name, column in others.items():
        if column.type == "string" and rows is not None and has_classes(rows[name]):
            value = str(rows[name].value_counts().index[-1])
            return f"{name}_{value}", "(", f'[{_text(name)}] == {_text(value)}).astype("float64")'
    return None


def _shared(main: Source, about: Entity, source: Source) -> str | None:
    """Return the column to group the past by: of a recurring thing its own, else a category of both sources."""
    texts = [
        name
        for name, column in main.columns.items()
        if column.type in ("string", "integer") and name in source.columns
    ]
    if about.ahead:
        own = [name for name in about.things if name in texts]
        return own[0] if own else None
    usable = [n for n in texts if n not in {*about.columns, *main.key} and main.columns[n].type == "string"]
    usable.sort(key=lambda name: name not in _sets(main))
    return usable[0] if usable else None


def _category(main: Source, about: Entity, source: Source, rows: pd.DataFrame | None) -> str | None:
    """Return a category of the main source whose rows those of ``source`` can be joined to, if there is one."""
    if about.ahead or source is main or not set(source.key) <= main.columns.keys():
        return None
    # What the source has itself needs no join, which would give it two names.
    texts = [
        n
        for n, column in main.columns.items()
        if column.type == "string" and n not in main.key and n not in source.columns
    ]
    known = [name for name in texts if rows is not None and has_classes(rows[name])]
    return next((name for name in texts if name in _sets(main) or name in known), None)


# Names that a draft uses itself.
RESERVED = {"rows", "inputs", "date", "pd", "batch_date", "measured", "str", "float", "len", "build"}


def _variable(source: Source) -> str:
    return f"{source.name}_rows" if source.name in RESERVED or iskeyword(source.name) else source.name


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join(map(_text, names)) + "]"


def _text(value: str) -> str:
    """Return a Python literal of ``value``, in double quotes as a formatter would have it."""
    return json.dumps(value, ensure_ascii=False)
