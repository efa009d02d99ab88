"""What tests of Spark need, as the product asks for it."""

import pytest

from nightshift.engine.spark import require_installed
from nightshift.errors import NotReady


def _missing() -> str:
    try:
        require_installed()
    except NotReady as error:
        return str(error)
    return ""


NEEDS_SPARK = pytest.mark.skipif(bool(_missing()), reason=_missing() or "Spark is here")
