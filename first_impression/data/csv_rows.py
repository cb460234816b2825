"""The rows of a CSV file, as spreadsheets write them: with commas, semicolons or tabs, in UTF-8 or UTF-16."""

import codecs
import csv
import io
import re
import unicodedata
from pathlib import Path

from first_impression.common.errors import UserError, short_message
from first_impression.common.file_kinds import refuse_other_kinds

SEPARATORS = ",;\t"
UTF_8 = "save the table as CSV UTF-8"  # what spreadsheets call it


def read(path, padded=False):
    """(header, [(row number, cells)]) of a CSV file, whose texts are normalised (NFC).

    What divides the cells is what divides the header into most of them, or what a first line "sep=;" says. Rows are
    numbered as in a spreadsheet; those without any text are left out. With `padded` a row may end early.
    Raises `UserError` for a missing or unreadable file, and for a row of another length than the header.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path.absolute()} is missing")
    refuse_other_kinds(path)
    text = _decoded(path)
    told = re.match('"?sep=([^\r\n])"?\r?\n', text, re.I)
    try:
        separator = told[1] if told else _separator_of(text)
        lines = io.StringIO(text[told.end() :] if told else text, newline="")
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        table = [row for row in enumerate(reader, 2 if told else 1) if any(cell.strip() for cell in row[1])]
        if not table:
            raise csv.Error("it is empty")
    except (csv.Error, ValueError) as error:
        raise UserError(f"{path} is not a readable CSV file: {short_message(error)}") from None
    (_, header), *rows = table
    for number, row in rows:
        row += [""] * (len(header) - len(row)) if padded else []
        if len(row) != len(header):
            counts = f"{len(row)} cells under {len(header)} columns"
            marks = {",": "commas", ";": "semicolons", "\t": "tabs"}.get(separator, repr(separator))
            raise UserError(f"{path}, row {number}: {counts}. Decimals take a point, 0.5: {marks} divide the cells")
    return header, rows


def _decoded(path):
    """The text of a CSV file: UTF-8, or UTF-16 with its mark, as Excel's "Unicode text" is."""
    content = path.read_bytes()
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"byte {error.start:,} is not {'UTF-16' if marked else 'UTF-8'}"
        raise UserError(f"{path} is not a readable CSV file: {reason}; {UTF_8}") from None
    if "\0" in text[:1000]:
        raise UserError(f"{path} is not a readable CSV file: it has null characters; {UTF_8}")
    return unicodedata.normalize("NFC", text)


def _separator_of(text):
    """Of SEPARATORS, that which stands most often in the first line of `text`, outside quotes; else the first."""
    header = re.search(r"[^\r\n]*\w[^\r\n]*", text)
    bare = re.sub('"[^"]*"', "", header[0]) if header else ""
    return max(SEPARATORS, key=bare.count)
