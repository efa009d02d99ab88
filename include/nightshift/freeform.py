"""Mappings that are free-form by nature: what their keys are, nobody here declares. Each says whose they are.

Whatever else a package shows to others is a dataclass, a pydantic model or a TypedDict.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

# A JSON object of somebody else, or for somebody else: an answer of Airflow's API, a connection's extra, a body.
Json = dict[str, Any]
# What is written as JSON, whole: a file of a run. Nobody asks it for a key.
Jsonable = Mapping[str, object]
# A spec, or a part of one, as it is written: before it is checked.
Declared = dict[str, Any]
# What a run was asked for, by the fields of its form: Airflow's conf. The form's schema says which there are.
Conf = Mapping[str, Any]
# Keyword arguments for another library: an estimator's, an expectation's, those of Airflow's `dag` and `task`.
Arguments = Mapping[str, Any]
# Values by name that a statement or a logged run takes; a row of an answer, by the columns of its SQL.
Values = Mapping[str, Any]
# A scope or a message of ASGI.
Message = MutableMapping[str, Any]
