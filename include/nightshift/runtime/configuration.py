"""The environment in which components run, and which of them is told which secret.

The environment has no secrets: every process of this account can read it in /proc. A component that needs one
is forked, and told over the socket of its launcher; what it forks in turn forgets it again, so that no task, no
DAG file and no trigger has it in its environment. Airflow is configured here and nowhere else, apart from whom it tells
metrics and events.
"""

import json
import os
from collections.abc import Mapping
from typing import cast

from sqlalchemy.engine import URL, make_url

from nightshift.hosts import listed, names_of
from nightshift.processes import MARK
from nightshift.root import ENGINE, INCLUDE, ROOT
from nightshift.runtime.credentials import Credentials
from nightshift.runtime.settings_file import Parts
from nightshift.runtime.state import Runtime
from nightshift.runtime.work import PARALLELISM

# What a surrounding Airflow, MLflow or Python would leak into ours; and logins of owners, which no task needs.
FOREIGN = (
    "AIRFLOW_",
    "MLFLOW_",
    "_MLFLOW_",
    "_AIRFLOW_",
    "PYTHONPATH",
    "PYTHONHOME",
    "NIGHTSHIFT_DATABASE_URL",
    "NIGHTSHIFT_WAREHOUSE_URL",
)
# What is told to whom, of all that Airflow is configured by, is set from outside (docs/metrics.md).
OURS = ("AIRFLOW__METRICS__", "AIRFLOW__NIGHTSHIFT__")

# What of a connection's extra is masked in the UI and in logs, beside what Airflow knows itself.
SENSITIVE = "cookie,account_key,access_key,sas,credential,connection_string,headers,proxies,proxy,dsn"
RUN_IDS = r"^[A-Za-z0-9_.~:+-]+\Z"
# What says at each look at a DAG file, every 45 seconds, that it looked: 47 MB a day of an idle stack.
TALKATIVE = (
    "airflow.models.dag",
    "airflow.serialization.definitions.dag",
    "airflow.dag_processing.manager.DagFileProcessorManager",
)
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
FERNET = "AIRFLOW__CORE__FERNET_KEY"
JWT = "AIRFLOW__API_AUTH__JWT_SECRET"
SESSIONS = "AIRFLOW__API__SECRET_KEY"
# Airflow's database: all but tasks. What encrypts connections and the arguments of triggers: whoever stores or
# reads them. What signs tokens: the scheduler makes those of tasks, the API server checks them and makes people's.
SECRETS: Mapping[str, tuple[str, ...]] = {
    "metadata": (DATABASE, FERNET),
    "api-server": (DATABASE, FERNET, JWT, SESSIONS),
    "scheduler": (DATABASE, FERNET, JWT),
    "dag-processor": (DATABASE, FERNET),
    "triggerer": (DATABASE, FERNET),
    "alerts": (DATABASE, FERNET),
    "housekeeping": (DATABASE, FERNET, "MLFLOW_BACKEND_STORE_URI"),
    "mlflow": ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"),
}


def environment(runtime: Runtime) -> dict[str, str]:
    """Return the environment of every component: what was there, without foreign settings, and ours."""
    kept = {
        key: value for key, value in os.environ.items() if key.startswith(OURS) or not key.startswith(FOREIGN)
    }
    return kept | _process(runtime) | _airflow(runtime) | _mlflow(runtime) | _quiet() | _one_thread()


def secrets_of(component: str, runtime: Runtime, credentials: Credentials) -> dict[str, str]:
    """Return what this component is told beside its environment."""
    known = {
        DATABASE: runtime.airflow_database_url.replace("postgresql:", "postgresql+psycopg2:", 1),
        FERNET: credentials.fernet_key,
        JWT: credentials.jwt_secret,
        SESSIONS: credentials.api_secret_key,
        "MLFLOW_BACKEND_STORE_URI": runtime.mlflow_database_url,
        "MLFLOW_AUTH_ADMIN_PASSWORD": credentials.mlflow_user,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": credentials.mlflow_session_key,
    }
    return {name: known[name] for name in SECRETS.get(component, ())}


def _process(runtime: Runtime) -> dict[str, str]:
    return {
        MARK: str(runtime.home),
        "NIGHTSHIFT_HOME": str(runtime.home),
        "NIGHTSHIFT_INCLUDE": str(INCLUDE.absolute()),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([str(INCLUDE.absolute()), str(ENGINE)])),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
        # A process title must not overwrite the environment, by which leftovers are recognised.
        "SPT_NOENV": "1",
        "NIGHTSHIFT_OBJECTS": str(runtime.home / "objects"),
        "MLFLOW_TRACKING_URI": runtime.mlflow_url,
        # A dead MLflow fails a task within seconds; by default it blocks it for four minutes.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    }


def _mlflow(runtime: Runtime) -> dict[str, str]:
    return {
        "MLFLOW_AUTH_ADMIN_USERNAME": runtime.mlflow_user,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(sorted(own_names(runtime.mlflow_url))),
        # Jobs are another way to run code on the tracking server; nothing here needs it.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def own_names(url: str) -> frozenset[str]:
    """Return the names under which a server at ``url`` answers: its own, and those of NIGHTSHIFT_ALLOWED_HOSTS."""
    return names_of(url) | listed(os.environ.get("NIGHTSHIFT_ALLOWED_HOSTS", ""))


def _airflow(runtime: Runtime) -> dict[str, str]:
    logs = runtime.home / "logs"
    parts = make_url(runtime.airflow_database_url)
    place = URL.create("postgresql+psycopg2", host=parts.host, port=parts.port, database=parts.database)
    sections: Mapping[str, Mapping[str, object]] = {
        "core": {
            "dags_folder": ROOT / "dags",
            "plugins_folder": ROOT / "plugins",
            "executor": "LocalExecutor",
            "parallelism": PARALLELISM,
            "mp_start_method": "fork",
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "sensitive_var_conn_names": SENSITIVE,
            "simple_auth_manager_users": "admin:admin,olga:op,vic:viewer",
            "simple_auth_manager_passwords_file": runtime.home / "airflow-passwords.json",
            "execution_api_server_url": f"{runtime.airflow_url}/execution/",
        },
        "database": {
            # Without its login, which is a secret.
            "sql_alchemy_conn": place,
            # The launcher migrates before anything starts.
            "check_migrations": False,
        },
        "api": {
            "host": "127.0.0.1",
            "port": runtime.airflow_url.rpartition(":")[2],
            "base_url": runtime.airflow_url,
            "workers": 1,
            "instance_name": "Nightshift",
        },
        "api_auth": {"jwt_issuer": "nightshift"},
        "workers": {
            # The execution API is built at its first call, which can take longer than the default 5 s.
            "execution_api_timeout": 60,
            # A supervisor that sees its task's sockets close before the task has exited sleeps this long:
            # with the default of 5 s, tasks of half a second were seen to take 5.7 s.
            "min_heartbeat_interval": 1,
        },
        # 0.3: half a second a task in a chain, where the default takes over a second; 0.1 only burns CPU.
        "scheduler": {
            "scheduler_idle_sleep_time": 0.3,
            "enable_health_check": False,
            # The default ends in $, which also matches before a line feed.
            "allowed_run_id_pattern": RUN_IDS,
            # The tasks of a scheduler that was killed are taken up by the next one: by default, in 5 minutes.
            "orphaned_tasks_check_interval": 15,
            "task_instance_heartbeat_timeout": 120,
        },
        "dag_processor": {
            "refresh_interval": 30,
            # A changed DAG file is parsed at once; this is how soon a changed spec is noticed.
            "min_file_process_interval": 45,
            "parsing_processes": 2,
            # A table of all files, every half minute, is most of what an idle stack would write.
            "print_stats_interval": 0,
        },
        "triggerer": {"capacity": 200},
        "logging": {
            "base_log_folder": logs / "tasks",
            "dag_processor_child_process_log_directory": logs / "dag-files",
            "colored_console_log": False,
            "namespace_levels": " ".join(f"{name}=warning" for name in TALKATIVE),
        },
        "usage_data_collection": {"enabled": False},
        "openlineage": {
            "namespace": "nightshift",
            "transport": json.dumps(
                {
                    "type": "file",
                    "log_file_path": str(runtime.home / "logs" / "openlineage.jsonl"),
                    "append": True,
                    "filesystem": "nightshift.orchestration.lineage.WholeLines",
                }
            ),
            # By default a process is forked for each event, and the scheduler starts one more for those of runs.
            "execute_in_thread": True,
            "emission_policy": json.dumps([{"scope": {}, "controls": {"emit_dag_events": False}}]),
        },
    }
    settings = {
        f"AIRFLOW__{section}__{key}".upper(): str(value)
        for section, options in sections.items()
        for key, value in options.items()
    }
    return settings | {"AIRFLOW_HOME": str(runtime.home / "airflow")}


def _quiet() -> dict[str, str]:
    """Return the switches of everything that would call home."""
    return {
        "DO_NOT_TRACK": "true",
        "SCARF_ANALYTICS": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GX_ANALYTICS_ENABLED": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }


def _one_thread() -> dict[str, str]:
    """Return the limits of native threads: two OpenMP threads under contention took six times as long."""
    limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    # A background thread in a process that forks is a lock waiting to be held by nobody.
    return dict.fromkeys(limits, "1") | {
        "OMP_WAIT_POLICY": "PASSIVE",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }


def connections(runtime: Runtime) -> dict[str, Parts]:
    """Return what the local stack lays over the connections of ``airflow_settings.yaml``, by connection id."""
    return {
        # Not the owner's, for only migrations are its. The reader's is the cockpit's.
        **{f"warehouse_{role}": endpoint(url) for role, url in runtime.warehouse_urls.items()},
        "mlflow": {
            **endpoint(runtime.mlflow_url),
            "schema": "http",
            "login": runtime.mlflow_user,
            "password": runtime.mlflow_password,
        },
    }


def endpoint(url: str) -> Parts:
    """Return the parts of a URL as the columns of an Airflow connection; what follows its question mark, as its extra.

    There it says who must answer: a task that is not told so takes any server.
    """
    parts = make_url(url)
    found = Parts(
        host=parts.host,
        port=parts.port,
        schema=parts.database,
        login=parts.username,
        password=parts.password,
        extra={**parts.query},
    )
    return cast("Parts", {key: value for key, value in found.items() if value not in (None, {})})
