"""Threads that parse Python at once, where a garbage collection lets another one in."""

import ast
import gc
import inspect
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from nightshift.specs import features
from nightshift.syntax import parse


@pytest.fixture
def _other_threads_run_while_garbage_is_collected() -> Iterator[None]:
    def wait(phase: str, info: dict[str, int]) -> None:
        time.sleep(0.0001)

    before = gc.get_threshold()
    gc.callbacks.append(wait)
    gc.set_threshold(50)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(wait)


@pytest.mark.usefixtures("_other_threads_run_while_garbage_is_collected")
def test_threads_parse_at_once() -> None:
    source = inspect.getsource(features)
    with ThreadPoolExecutor(4) as pool:
        trees = list(pool.map(parse, [source] * 40))
    assert len({ast.dump(tree) for tree in trees}) == 1
