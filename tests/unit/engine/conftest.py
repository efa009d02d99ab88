"""One night of each kind of model."""

import pytest
from nights import Night, made
from toys import TARGETS


@pytest.fixture(scope="package", params=TARGETS)
def night(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Night:
    return made(request.param, tmp_path_factory.mktemp("model"))
