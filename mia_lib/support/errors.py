"""The two errors a user may see: one clear sentence each, no traceback."""

import reprlib

BRIEF = reprlib.Repr()
BRIEF.maxstring = BRIEF.maxother = 80
BRIEF.maxlevel = 2


class MiaError(Exception):
    """Something went wrong while working (exit status 1); the message is one sentence that says what would be right."""


class UsageError(MiaError):
    """The request itself is wrong: an unknown name or an ill-typed parameter (exit status 2)."""


def brief(value: object) -> str:
    """A value as messages show it, however large it is."""
    return BRIEF.repr(value)
