"""`nightshift reconcile`: options that go together."""

import pytest
from typer.testing import CliRunner

from nightshift.cli.app import app


@pytest.mark.parametrize("given", [["--register-again"], ["late_arrival", "--files", "somewhere"]])
def test_a_champion_is_registered_again_of_one_model_only_and_files_are_for_that(given: list[str]) -> None:
    done = CliRunner().invoke(app, ["reconcile", *given], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert "--register-again needs a MODEL, and --files needs --register-again" in done.output
