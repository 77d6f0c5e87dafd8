"""The one exception that means "the user can mend this"."""


class UserError(Exception):
    """A user's mistake or bad input: one or two lines that name the file or setting and the remedy.

    The command line prints the message and exits with code 2; every other exception is a bug and
    shows its traceback.
    """
