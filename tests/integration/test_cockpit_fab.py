"""The cockpit's rights with FAB, on a metadata database of its own: what roles see, and who finds the menu."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nightshift.root import ROOT

pytestmark = pytest.mark.integration

# In a process of its own: FAB and a metadata database are for good.
ASKED = """
import json, sys, warnings
warnings.simplefilter("ignore")
from airflow.utils.db import initdb
initdb()
sys.path.insert(0, "deploy")
import first_start
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.utils.session import create_session
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from nightshift.orchestration import cockpit_api
from nightshift.specs import load_project

project = load_project()
with create_session() as session:
    session.add(DagBundleModel(name="b"))
    session.flush()
    for dag in cockpit_api._dags(project):
        session.add(DagModel(dag_id=dag, fileloc="f", bundle_name="b"))
told = {}
with get_application_builder() as builder:
    security, manager = builder.sm, get_auth_manager()
    manager.appbuilder = builder
    one = security.add_role("One model")
    dag = security.create_permission("can_read", "DAG:score_late_arrival")
    security.add_permission_to_role(one, dag)
    # Two of each: a user keeps what he may do once he was asked.
    people = {}
    for role in ("Viewer", "User", "Op", "Admin", "One model", "Public"):
        for name in (f"early {role}", f"late {role}"):
            people[name] = security.add_user(
                name, name, name, f"{name.replace(' ', '_')}@x.org", security.find_role(role), "word" * 4
            )
    seen = lambda user: manager.is_authorized_view(access_view=AccessView.PLUGINS, user=user)
    before = {name.removeprefix("early "): seen(user) for name, user in people.items() if name.startswith("early")}
print(first_start.show_the_cockpit(), file=sys.stderr)
print(first_start.show_the_cockpit(), file=sys.stderr)
with get_application_builder() as builder:
    security, manager = builder.sm, get_auth_manager()
    manager.appbuilder = builder
    for role in before:
        user = security.find_user(f"late {role}")
        dags = manager.get_authorized_dag_ids(user=user, method="GET")
        starts = [dag for dag in sorted(cockpit_api._dags(project)) if cockpit_api._may_start(user, dag)]
        told[role] = [before[role], bool(seen(user)), len(dags), "score_late_arrival" in dags, len(starts)]
print("TOLD" + json.dumps([told, len(cockpit_api._dags(project))]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("fab")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW_")},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{Path(home) / 'airflow.db'}",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASKED],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("TOLD")[2])


def test_the_first_start_gives_the_menu_to_whoever_may_read(told: Any) -> None:
    menus = {role: (before, after) for role, (before, after, *_) in told[0].items()}
    assert menus == {
        "Viewer": (False, True),
        "User": (False, True),
        "Op": (True, True),
        "Admin": (True, True),
        "One model": (False, False),
        "Public": (False, False),
    }


def test_a_role_for_one_dag_sees_one_model(told: Any) -> None:
    roles, every = told
    shown = {role: (count, has) for role, (_, _, count, has, _) in roles.items()}
    assert shown == {
        **dict.fromkeys(("Viewer", "User", "Op", "Admin"), (every, True)),
        "One model": (1, True),
        "Public": (0, False),
    }


def test_forms_are_offered_to_who_may_start_what_they_are_of(told: Any) -> None:
    roles, every = told
    starts = {role: count for role, (*_, count) in roles.items()}
    assert starts == {
        **dict.fromkeys(("User", "Op", "Admin"), every),
        **dict.fromkeys(("Viewer", "One model", "Public"), 0),
    }
