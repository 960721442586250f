"""The one error of the export, and the checks that every part of a description shares."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ExportError(ValueError):
    """The model cannot be packaged in this way; the message tells what to change."""


def first_line(error: Exception) -> str:
    """The first line of an error's message, up to 300 characters; its type if there is no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def check_name(kind: str, name: str) -> None:
    """Names become fields of SQL structs: letters, digits and underscores, no digit first."""
    if not NAME.fullmatch(name):
        raise ExportError(f"{kind} name {name!r}: use letters, digits and underscores, and no digit first")


def check_positive(what: str, value: int) -> None:
    """A size: a whole number above zero."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ExportError(f"{what} must be a positive whole number, not {value!r}")
