"""``python -m nightshift.cli``: the `nightshift` command."""

import sys

from nightshift.cli.app import app

sys.exit(app())
