"""A local stack of a module's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nightshift.runtime import control, endpoints
from nightshift.runtime.state import Runtime


@contextmanager
def stack_in(home: Path) -> Iterator[Runtime]:
    """Yield a running stack below ``home``, on ports that are free; it is purged afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTSHIFT_HOME", str(home))
        for service in endpoints.PREFERRED:
            patch.setenv(f"NIGHTSHIFT_{service.upper()}_PORT", str(endpoints.any_free_port()))
        try:
            yield control.up()[0]
        finally:
            control.purge()
