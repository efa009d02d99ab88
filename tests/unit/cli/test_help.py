"""`nightshift --help` is asked while one thinks: it does not import what a command will need."""

import subprocess
import sys

ASK = """
import sys
from typer.testing import CliRunner
from nightshift.cli.app import app
said = CliRunner().invoke(app, ["--help"])
assert said.exit_code == 0 and "init" in said.output, said.output
print(*{name.partition(".")[0] for name in sys.modules} & set(sys.argv[1:]))
"""


def test_help_imports_nothing_that_a_command_needs() -> None:
    heavy = [
        "sqlalchemy",
        "psycopg2",
        "pydantic",
        "yaml",
        "httpx",
        "pandas",
        "numpy",
        "airflow",
        "mlflow",
        "examples",
    ]
    done = subprocess.run([sys.executable, "-c", ASK, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
