"""Create the first user of the Airflow UI, if there is none of that name.

Not `airflow users create`: its password is an argument, which every process on the machine can read.
"""

import os
import sys

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder


def main() -> int:
    """Return the exit code: 0 if the user exists afterwards."""
    name = os.environ["AIRFLOW_ADMIN_USER"]
    with get_application_builder() as builder:
        security = builder.sm
        if security.find_user(name):
            print(f"user {name}: exists; its password is left as it is")
            return 0
        made = security.add_user(
            name,
            "Nightshift",
            "Admin",
            os.environ["AIRFLOW_ADMIN_EMAIL"],
            security.find_role("Admin"),
            os.environ["AIRFLOW_ADMIN_PASSWORD"],
        )
    print(f"user {name}: {'created' if made else 'could not be created'}")
    return 0 if made else 1


if __name__ == "__main__":
    sys.exit(main())
