"""The text of a feature module: the sources' numbers and categories, and one statistic over the past. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nightshift.errors import RequestError, did_you_mean
from nightshift.specs import Source

LOOK_BACK_DAYS = 28
NUMBERS = ("float", "integer", "boolean")
VALUE_SET = "expect_column_values_to_be_in_set"
SHARED = "    # Rows of the past, known by the cut-off of batch_date: nothing later is handed in.\n"


@dataclass(frozen=True)
class Entity:
    """What a row is about: ``days`` are columns of the date, ``things`` tell the rows of a date apart."""

    columns: list[str]
    days: list[str]
    things: list[str]


def draft(name: str, sources: Sequence[Source], *, owner: str, entity: Sequence[str] = ()) -> str:
    """Return the text of the module ``name``; the first source says what a row is about.

    Raises:
        RequestError: the first source has no such entity column, or there is nothing to learn from.
    """
    main = sources[0]
    about = _entity(main, list(entity))
    passed = _passed(main, about)
    statistics = [_Statistic.of(main, about, source) for source in (sources[1:] or sources[:1])]
    columns = {alias: kind for alias, (_, kind) in passed.items()}
    columns |= {statistic.name: "float" for statistic in statistics}
    look_back = {main.name: LOOK_BACK_DAYS if about.days or main in sources[1:] or len(sources) == 1 else 0}
    look_back |= {source.name: LOOK_BACK_DAYS for source in sources[1:]}
    inputs = "".join(f'        "{s}": {{"look_back_days": {days}}},\n' for s, days in look_back.items())
    declared = "".join(f'        "{column}": "{kind}",\n' for column, kind in columns.items())
    return (
        f'"""{_title(main, about)}\n\n{_time(about)}\n"""\n\n'
        "from datetime import date\n\nimport pandas as pd\n\n"
        "FEATURES = {\n"
        '    "version": 1,\n'
        f'    "owner": "{owner}",\n'
        f'    "entity": {_list(about.columns)},\n'
        f'    "inputs": {{\n{inputs}    }},\n'
        f'    "columns": {{\n{declared}    }},\n'
        "}\n\n\n"
        "def build(inputs: dict[str, pd.DataFrame], batch_date: date) -> pd.DataFrame:\n"
        f'    """Return one row a {_row(about)}: the entity as text, and the declared columns."""\n'
        + _rows(main, about)
        + "".join(statistic.code for statistic in statistics)
        + "    return pd.DataFrame(\n        {\n"
        + "".join(f"            {line},\n" for line in _result(about, passed, statistics))
        + "        },\n        index=rows.index,\n    )\n"
    )


def _entity(main: Source, asked: list[str]) -> Entity:
    columns = asked or [n for n in main.key if main.columns[n].type != "timestamp"] or list(main.key)
    for name in columns:
        if name not in main.columns:
            raise RequestError(
                f"--entity: source '{main.name}' has no column '{name}'{did_you_mean(name, main.columns)}"
            )
    days = [name for name in columns if main.columns[name].type == "date"]
    return Entity(columns, days, [name for name in columns if name not in days])


def _passed(main: Source, about: Entity) -> dict[str, tuple[str, str]]:
    """Return, by feature, the column and its type: numbers, and strings of known categories."""
    sets = [item[VALUE_SET]["column"] for item in main.expectations if VALUE_SET in item]
    found = {}
    for name, column in main.columns.items():
        if name in about.columns or not (column.type in NUMBERS or name in sets):
            continue
        # Of a day's own row nothing is known when the day begins: what is passed on is the last one's.
        alias = _alias(f"{name}_last" if about.days else name)
        found[alias] = (name, "string" if column.type == "string" else "float")
    return found


def _alias(name: str) -> str:
    plain = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_")
    return (plain if plain[:1].isalpha() else f"x_{plain}")[:40]


def _title(main: Source, about: Entity) -> str:
    return f"What is known of a {_row(about)} beforehand, from source {main.name}."


def _row(about: Entity) -> str:
    return " and ".join([*about.things, *(["day"] if about.days else [])]).replace("_", " ")


def _time(about: Entity) -> str:
    if about.days:
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
    if not about.days:
        night = f'{_variable(main)}[{_variable(main)}["batch_date"] == pd.Timestamp(batch_date)]'
        return f'{taken}    rows = {night}.drop_duplicates({_list(about.columns)}, keep="last")\n'
    if not about.things:
        return f"{taken}    rows = {_variable(main)}.tail(1)\n"
    return f'{taken}    rows = {_variable(main)}.drop_duplicates({_list(about.things)}, keep="last")\n'


def _result(
    about: Entity, passed: dict[str, tuple[str, str]], statistics: Sequence["_Statistic"]
) -> list[str]:
    lines = [
        f'"{name}": ' + ("str(batch_date)" if name in about.days else f'rows["{name}"].astype("str")')
        for name in about.columns
    ]
    for alias, (name, kind) in passed.items():
        lines.append(f'"{alias}": rows["{name}"]' + ('.astype("float64")' if kind == "float" else ""))
    return lines + [f'"{statistic.name}": {statistic.value}' for statistic in statistics]


@dataclass(frozen=True)
class _Statistic:
    """One feature over the look-back of a source: its code before the result, and its value in it."""

    name: str
    code: str
    value: str

    @classmethod
    def of(cls, main: Source, about: Entity, source: Source) -> "_Statistic":
        """Return the mean of the source's first number, by what it shares with the rows, if anything."""
        by = _shared(main, about, source)
        numbers = [n for n, c in source.columns.items() if c.type in NUMBERS and n not in source.key]
        numbers.sort(key=lambda name: source.columns[name].type == "boolean")
        code = SHARED
        past = _variable(source)
        if past != _variable(main):
            code += f'    {past} = inputs["{source.name}"]\n'
        if not numbers:
            return cls(_alias(f"{source.name}_rows"), code, f"float(len({past}))")
        name = _alias(f"{numbers[0]}_mean_{f'by_{by}_' if by else ''}{LOOK_BACK_DAYS}d")
        mean = f'{past}["{numbers[0]}"].astype("float64")'
        if by is None:
            return cls(name, code, f"{mean}.mean()")
        code += f'    {name} = {mean}.groupby({past}["{by}"]).mean()\n'
        return cls(name, code, f'rows["{by}"].map({name}).astype("float64")')


def _shared(main: Source, about: Entity, source: Source) -> str | None:
    """Return the column to group the past by: of a recurring thing its own, else a category of both sources."""
    texts = [
        name
        for name, column in main.columns.items()
        if column.type in ("string", "integer") and name in source.columns
    ]
    if about.days:
        own = [name for name in about.things if name in texts]
        return own[0] if own else None
    sets = {item[VALUE_SET]["column"] for item in main.expectations if VALUE_SET in item}
    usable = [n for n in texts if n not in about.columns and main.columns[n].type == "string"]
    usable.sort(key=lambda name: name not in sets)
    return usable[0] if usable else None


def _variable(source: Source) -> str:
    return (
        f"{source.name}_rows"
        if source.name in ("rows", "inputs", "date", "pd", "batch_date")
        else source.name
    )


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
