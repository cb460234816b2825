"""What a file is that came in another one's place: a download page, a pointer, something packed."""

from pathlib import Path

from first_impression.common.errors import UserError

# How such files begin; in HTML after blanks, in either case
KINDS = {
    b"version https://git-lfs": ("a Git LFS pointer, not the file itself", "run git lfs pull where it comes from"),
    b"<!doctype html": ("a web page, perhaps one that asks to log in", "fetch the file again in a browser"),
    b"<html": ("a web page, perhaps one that asks to log in", "fetch the file again in a browser"),
    b"\x1f\x8b": ("packed with gzip", "unpack it with gunzip"),
    b"PK\x03\x04": ("a zip, or an Excel file", "unpack the zip, or save the table as CSV UTF-8"),
    b"\xd0\xcf\x11\xe0": ("an old Excel file", "save the table as CSV UTF-8"),
    b"%PDF": ("a PDF", "fetch or save the table itself"),
}
_LONGEST = 1024  # bytes, of blanks before a page's first tag too


def refuse_other_kinds(path, allowed=b""):
    """Raises `UserError` where the file `path` begins as one of KINDS does, save as one of the kind `allowed`."""
    with open(path, "rb") as file:
        head = file.read(_LONGEST)
    page = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, (what, remedy) in KINDS.items():
        if start != allowed and (head.startswith(start) or start.startswith(b"<") and page.startswith(start)):
            raise UserError(f"{Path(path)} is {what}: {remedy}")
