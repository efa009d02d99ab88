"""A package, so that its stack is taken down when its last test ends, not at the end of the session."""
