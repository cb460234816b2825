"""The two errors that are not faults of this program, and how the errors of libraries become one of them."""

import contextlib
import errno


class UserError(Exception):
    """Something that the user can mend. Its text names the file, what is wrong and what to do."""


class BadClipError(Exception):
    """A clip that cannot be used. That is a property of the data: the step lists the clip and goes on."""


def is_machine_fault(error):
    """Whether an error in reading a file is the machine's (no rights, no such file), not that of the file's bytes.

    Libraries raise nearly anything over damaged bytes, `OSError` too: without a number, or of a seek to nowhere.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def short_message(error):
    """A library's error over a file's bytes, which it may quote at length, as a short line."""
    line = str(error).strip().partition("\n")[0]
    return f"{line[:200]} .." if len(line) > 200 else line or type(error).__name__


@contextlib.contextmanager
def damage_as_user_error(verdict, remedy):
    """In the block, what a library raises over a file's bytes becomes the `UserError` "verdict (the error): remedy".

    Damaged bytes can make it raise nearly anything. Errors of the machine pass, and so does a `UserError`.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_machine_fault(error):
            raise
        raise UserError(f"{verdict} ({short_message(error)}): {remedy}") from None


def name_some(names, most=5):
    """The first few of `names` as text, with the number of the others: "a, b, c and 12 more"."""
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(number, noun):
    """ "1 clip", "2 clips"."""
    return f"{number:,} {noun}" + "s" * (number != 1)
