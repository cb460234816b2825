"""The two errors that are not bugs of this project, and how errors that libraries raise become one of them."""

import contextlib
import errno
import re

# What TensorFlow says where a device's memory does not suffice: itself, by XLA, by CUDA, by the system
OUT_OF_MEMORY = re.compile("OOM when|out of memory|OUT_OF_MEMORY|failed to allocate|cannot allocate memory", re.I)


class UserError(Exception):
    """Something that the user can fix. Its text says what is wrong, in which file, and what to do."""


class BadClipError(Exception):
    """A clip that cannot be used. The data is at fault: the step lists the clip and carries on."""


def is_machine_fault(error):
    """Whether an error in reading a file comes from the machine (no permission, no such file), not from its bytes.

    Libraries raise nearly anything over damaged bytes, even `OSError`: without a number, or for a senseless seek.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def short_message(error):
    """The first line of a library's error, cut to 200 characters: it may quote a file's bytes at length."""
    line = str(error).strip().partition("\n")[0]
    return f"{line[:200]} .." if len(line) > 200 else line or type(error).__name__


@contextlib.contextmanager
def damage_as_user_error(verdict, remedy):
    """Turn what a library raises in the block over a file's bytes into the `UserError` "verdict (error): remedy".

    Damaged bytes can make it raise nearly anything. A `UserError` and errors of the machine pass unchanged.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_machine_fault(error):
            raise
        raise UserError(f"{verdict} ({short_message(error)}): {remedy}") from None


@contextlib.contextmanager
def lack_of_memory_as_user_error(batch_size):
    """Turn TensorFlow's errors over a device's memory in the block into a `UserError` that names the `batch_size`.

    Its same errors over files (too many open, a full disk) pass unchanged.
    """
    try:
        yield
    except Exception as error:
        lines = [line for line in str(error).splitlines() if OUT_OF_MEMORY.search(line)]
        if type(error).__name__ not in ("ResourceExhaustedError", "InternalError") or not lines:
            raise
        raise UserError(
            f"the device's memory does not suffice for BATCH_SIZE = {batch_size} ({short_message(lines[0])}): "
            "lower it, or end what else uses the device, and run this again"
        ) from None


def name_some(names, most=5):
    """The first `most` of the sorted `names` as text, with the number of the others: "a, b, c and 12 more"."""
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(number, noun):
    """ "1 clip", "2 clips"."""
    return f"{number:,} {noun}" + "s" * (number != 1)
