"""What is told to the user in one sentence, without a traceback."""

from __future__ import annotations


class StackError(Exception):
    """Something the user can cure; its text says what is wrong and how."""
