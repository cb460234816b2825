"""Zips: opened and unpacked entry by entry, and what is said of those that cannot be.

Passwords are of the traditional kind alone, which Python's zipfile knows and ChaLearn uses. Entries under AES are named
and not opened: the library that would do it needs a whole cryptography package beside it.
"""

import contextlib
import os
import re
import shutil
import zipfile
import zlib

from first_impression.common.errors import UserError, damage_as_user_error, name_some, short_message
from first_impression.common.file_kinds import refuse_other_kinds
from first_impression.common.files import whole_file

PASSWORD_VARIABLE = "CHALEARN_ZIP_PASSWORD"
JOIN = "Join them: 7z x on the first part, or zip -s 0 name.zip --out whole.zip"
_AES = 99  # the way of packing that such entries are said to have (WinZip's AE-1 and AE-2)
_IS_UTF_8 = 0x800  # the flag of an entry's name
_END, _LONGEST_END = b"PK\5\6", 22 + 65535  # of a zip: its last record, with the longest remark behind it


def parts_of(archive, entry):
    """The folders and the name in an entry's path. Raises `UserError` for one that leaves the zip's own folder."""
    parts = re.split(r"[/\\]", entry)
    if ".." in parts or parts[0] == "" or re.match("[A-Za-z]:", entry):
        raise UserError(f"{archive}: the entry {entry!r} would leave its folder; this is not a zip of ChaLearn's")
    return parts


def check_name(archive, opened, info):
    """Where an entry is passed over: its name stands twice in a zip, so damage to one of them would lose a clip."""
    # RuntimeError: encrypted, or packed in an unknown way; the names were compared before
    with (
        damage_as_user_error(f"{archive} is damaged at {info.filename!r}", "fetch the zip again"),
        contextlib.suppress(RuntimeError),
    ):
        opened.open(info).close()


def open_zip(archive):
    """The opened zip. Raises `UserError` for one that is damaged, a part of a split one, or something else."""
    refuse_other_kinds(archive, allowed=b"PK\3\4")
    _refuse_part(archive)
    with damage_as_user_error(f"{archive} is not a complete zip", "fetch it again"):
        return zipfile.ZipFile(archive)


def _refuse_part(archive):
    """Raises `UserError` for the last part of a split zip: its end says that the directory begins in another file."""
    with open(archive, "rb") as file:
        start = file.read(4)
        file.seek(max(0, os.path.getsize(archive) - _LONGEST_END))
        end = file.read().rpartition(_END)
    number = int.from_bytes(end[2][:2], "little")  # 65,535 where a longer record has it
    if end[1] and 0 < number < 0xFFFF or start == b"PK\7\x08" or archive.with_suffix(".z01").exists():
        raise UserError(f"{archive} is a part of a split zip. {JOIN}")


def names_in(archive, opened):
    """{entry as zipfile names it: its name} of an opened zip.

    Zips say of names in UTF-8 that they are; of others zipfile reads the bytes as CP437. macOS and others write UTF-8
    without saying so, so bytes that are valid UTF-8 are read as such. The rest is kept as zipfile has it, and told.
    """
    names, foreign = {}, []
    for entry in opened.infolist():
        names[entry.filename] = entry.filename
        if not entry.filename.isascii() and not entry.flag_bits & _IS_UTF_8:
            try:
                names[entry.filename] = entry.filename.encode("cp437").decode()
            except UnicodeEncodeError:  # the zip gives the name in UTF-8 beside
                pass
            except UnicodeDecodeError:
                foreign.append(entry.filename)
    if foreign:
        print(
            f"{archive}: names that do not say in which alphabet they are, taken as CP437: {name_some(foreign)}. Where "
            "they look wrong, unpack the zip, or pack it again with names in UTF-8 (7z a -mcu=on)"
        )
    return names


class NoPassword(UserError):
    """A zip is encrypted, and no password was given."""


def passwords(given=""):
    """The passwords of zips: ZIP_PASSWORD as `given`, else what the environment has. Of several, each: a list."""
    password = given or os.environ.get(PASSWORD_VARIABLE, "")
    return list(dict.fromkeys([password, *password.split()])) if password else []


def is_encrypted(archive):
    """Whether an entry of this zip needs a password. Raises `UserError` for a damaged zip."""
    with open_zip(archive) as opened:
        return any(info.flag_bits & 0x1 for info in opened.infolist())


def unpack(archive, entry, path, password, by=""):
    """Unpack one entry of a zip to `path`. Of several `passwords`, with spaces between, each is tried.

    Raises `NoPassword` where it needs one, and `UserError` where that is wrong, or the bytes are damaged or packed in a
    foreign way.
    """
    tried = passwords(password)
    with open_zip(archive) as opened, whole_file(path, by) as tmp:
        info = opened.getinfo(entry)
        if info.compress_type == zipfile.ZIP_BZIP2:  # zipfile unpacks 16 kB of that to 18 GB at once, if they are so
            raise UserError(f"{archive}: {entry} is packed with bzip2, which is not safe to unpack: repack it")
        if info.compress_type == _AES:
            raise UserError(
                f"{archive}: {entry} is encrypted with AES, which Python's zipfile cannot open: unpack the zip with "
                "7-Zip (7z x), and put what it holds in its place"
            )
        encrypted = info.flag_bits & 0x1
        if encrypted and not tried:
            raise NoPassword(
                f"{archive} is encrypted, as ChaLearn's test zips are: give the password that ChaLearn sent "
                f"you as --ZIP_PASSWORD=... or in the environment variable {PASSWORD_VARIABLE}"
            )
        for password in tried if encrypted else [""]:
            with damage_as_user_error(f"{archive} is damaged at {entry}", "fetch the zip again"):
                try:
                    with opened.open(entry, pwd=password.encode() or None) as source, open(tmp, "wb") as target:
                        shutil.copyfileobj(source, target, 1 << 14)  # LZMA makes 115 MB of that at most
                    return
                except NotImplementedError as error:  # a RuntimeError too, so it stands first
                    raise UserError(
                        f"{archive} is packed in a way that Python cannot read ({short_message(error)}): repack it"
                    ) from None
                except RuntimeError:  # zipfile's way to say: wrong password
                    continue
                except (zipfile.BadZipFile, zlib.error):  # one in 256 wrong passwords is only told by the bytes
                    if not encrypted or password == tried[-1]:
                        raise
        raise UserError(f"{archive}: the zip password is wrong (checked on {entry})")
