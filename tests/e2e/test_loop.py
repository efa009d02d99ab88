import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_x(loop):
    pass
