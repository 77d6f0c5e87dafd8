"""The one exception that means "the user can mend this", and text that is fit to be told."""


class UserError(Exception):
    """A user's mistake or bad input: one or two lines that name the file or setting and the remedy.

    The command line prints the message and exits with code 2; every other exception is a bug and
    shows its traceback.
    """


def printable(text: str) -> str:
    """One line that any terminal and JSON file takes: file names may hold newlines and non-text."""
    return "".join(char if char.isprintable() else "?" for char in text)
