"""Python source as a syntax tree, from any thread."""

import ast
from threading import RLock

# CPython before 3.11.8 and 3.12.2 counts the depth of every thread's tree in one place (its issue 106905): where a
# garbage collection lets a second thread parse in the middle, both fail with SystemError.
_ONE_AT_A_TIME = RLock()


def parse(source: str | bytes, filename: str = "<unknown>") -> ast.Module:
    """Return the tree of ``source``, as ``ast.parse`` does. Raises SyntaxError, ValueError or RecursionError."""
    with _ONE_AT_A_TIME:
        return ast.parse(source, filename)
