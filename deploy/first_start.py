"""What Airflow's database needs beside its tables: the first user, who may see the cockpit, and the pools.

Safe to run again: a user that exists keeps the password, pools get the file's size. Connections are not
applied: in production they come from the environment. Not `airflow users create`: its password is an
argument, which every process on the machine can read.
"""

import os
import sys
from pathlib import Path

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

from nightshift.runtime import settings_file

SETTINGS = Path(__file__).parents[1] / "airflow_settings.yaml"


def create_admin() -> str:
    """Create the user of ``AIRFLOW_ADMIN_*`` unless there is one of that name; return what was done."""
    name = os.environ["AIRFLOW_ADMIN_USER"]
    with get_application_builder() as builder:
        security = builder.sm
        if security.find_user(name):
            return f"user {name}: exists; its password is left as it is"
        made = security.add_user(
            name,
            "Nightshift",
            "Admin",
            os.environ["AIRFLOW_ADMIN_EMAIL"],
            security.find_role("Admin"),
            os.environ["AIRFLOW_ADMIN_PASSWORD"],
        )
    if not made:
        sys.exit(f"user {name}: could not be created; the log above says why")
    return f"user {name}: created"


def show_the_cockpit() -> str:
    """Let Viewer and User see what plugins add to the UI, as Op and Admin do; return who may."""
    readers = ("Viewer", "User")
    with get_application_builder() as builder:
        security = builder.sm
        permission = security.create_permission("can_read", "Plugins")
        for name in readers:
            security.add_permission_to_role(security.find_role(name), permission)
    return f"pages of plugins: {', '.join(readers)} may see them"


def apply_settings() -> str:
    """Apply pools and variables; return which."""
    settings = settings_file.read(SETTINGS).model_copy(update={"connections": []})
    settings_file.apply(settings, {})
    return f"pools: {', '.join(pool.pool_name for pool in settings.pools) or 'none'}"


if __name__ == "__main__":
    print(create_admin())
    print(show_the_cockpit())
    print(apply_settings())
