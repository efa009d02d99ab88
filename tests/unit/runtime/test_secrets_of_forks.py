"""A component knows its secrets; what it forks does not, and neither is in /proc."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROBE = """
import json, os, sys
from airflow.configuration import conf
from nightshift.runtime.airflow_launcher import learn

def seen():
    with open("/proc/self/environ") as file:
        shown = file.read()
    from airflow import settings
    from airflow.models.crypto import get_fernet
    return {
        "environment": os.environ.get("AIRFLOW__API_AUTH__JWT_SECRET"),
        "database": os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"],
        "settings": settings.SQL_ALCHEMY_CONN + str(settings.SQL_ALCHEMY_CONN_ASYNC),
        "jwt": conf.get("api_auth", "jwt_secret", fallback=None),
        "fernet": conf.get("core", "fernet_key", fallback=None),
        "proc": shown,
    }

learn(json.loads(sys.stdin.read()))
parent = seen()
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, json.dumps(seen()).encode())
    os._exit(0)
os.close(writing)
print("SEEN" + json.dumps([parent, json.loads(os.fdopen(reading).read())]))
"""
BARE = "postgresql+psycopg2://127.0.0.1:1/airflow"


def test_what_a_component_forks_forgets_its_secrets(tmp_path: Path) -> None:
    secrets = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://airflow:canary-database@127.0.0.1:1/airflow",
        "AIRFLOW__CORE__FERNET_KEY": "canaryfernetAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "AIRFLOW__API_AUTH__JWT_SECRET": "canary-jwt",
    }
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    environment |= {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": BARE}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE],
        input=json.dumps(secrets),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    parent, child = json.loads(done.stdout.rpartition("SEEN")[2])
    assert parent["jwt"] == "canary-jwt"
    assert parent["database"] == secrets["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert "canary-database" in parent["settings"]
    assert "canary" not in parent["proc"]
    assert child["environment"] is None
    assert child["database"] == BARE
    assert "canary" not in json.dumps(child)
