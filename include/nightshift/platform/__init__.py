"""What every stage works with: the handles, the clock, and how what is recorded is read back and checked.

Below the stages, so that these do not have to be each other's library.
"""

from nightshift.platform.handles import Platform, Try

__all__ = ["Platform", "Try"]
