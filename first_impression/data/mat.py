"""MATLAB files (version 5, as MATLAB's -v6 and -v7 write them): as much as a network of MatConvNet's needs.

SciPy's reader is not used, since some damaged files crash it, and a small file can make it fill the memory.
"""

import math
import os
import struct
import zlib

import numpy as np

# What is larger is passed over: no convolution of VGG-16 is, its fully connected layers are
LARGEST = 32 * 2**20  # bytes
MOST = 2**30  # bytes kept of a file
MOST_MATRICES = 100_000  # MatConvNet's networks have hundreds

MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHAR = 1, 2, 4
NUMERIC = range(6, 16)  # classes from double to uint64
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CODINGS = {1: "latin1", 2: "latin1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}


def read(path, names):
    """The variables with these names: {name: value}.

    A value is an array, a text, a list (of a cell array, column by column), a dict (of a struct), a list of dicts
    (of several), or None for anything else and for what is larger than LARGEST.
    Raises some `Exception` for a file that is damaged or none of this kind; zlib's checksums are compared.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(128)
        order = {b"IM": "<", b"MI": ">"}.get(head[126:])
        if order is None or struct.unpack(f"{order}H", head[124:126])[0] != 0x0100:
            raise ValueError("it does not begin like a MATLAB file of version 5")
        variables, budget = {}, {"bytes": MOST, "matrices": MOST_MATRICES}
        while file.tell() < size:
            tag = file.read(8)
            kind, length = struct.unpack(f"{order}II", tag)
            end = file.tell() + length
            if end > size:
                raise ValueError("it is cut short")
            if kind == COMPRESSED:
                inflated = _Inflated(file, length)
                kind, length = struct.unpack(f"{order}II", inflated.read(8))
                reader = _Reader(inflated, order, length, budget)
            else:
                reader = _Reader(file, order, length, budget)
            if kind != MATRIX:
                raise ValueError(f"it has a variable of the unknown type {kind}")
            name, value = reader.matrix(length, names)
            if name in names:
                variables[name] = value
                if isinstance(reader.file, _Inflated):
                    reader.file.finish()
            file.seek(end)
    return variables


class _Inflated:
    """What the next `size` bytes of `file` inflate to, read as far as it is asked for."""

    def __init__(self, file, size):
        self._file, self._left, self._zlib = file, size, zlib.decompressobj()

    def read(self, size):
        parts = []
        while size:
            packed = self._zlib.unconsumed_tail
            if not packed:
                packed = self._file.read(min(self._left, 1 << 16))
                self._left -= len(packed)
            part = self._zlib.decompress(packed, size)
            if not part and not packed:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def finish(self):
        """Raises where there is more, or the checksum at the end is wrong or missing."""
        if self.read(1) or not self._zlib.eof:
            raise ValueError("a variable is longer or shorter than it says")


class _Reader:
    """Reads the elements of one variable, `left` bytes in all."""

    def __init__(self, file, order, left, budget):
        self.file, self._order, self._left, self._budget = file, order, left, budget

    def matrix(self, size, wanted=None):
        """(name, value) of the matrix element of `size` bytes that begins here; no value where it is not `wanted`."""
        if not size:  # how an empty one is written
            return "", np.empty((0, 0))
        end = self._left - size
        self._budget["matrices"] -= 1
        if end < 0 or self._budget["matrices"] < 0:
            raise ValueError("a matrix does not fit into its place, or there are too many")
        kind = self._array()[0] & 255
        dims = self._array().astype(np.int64).tolist()
        name = self._array().tobytes().decode("latin1")
        count = math.prod(dims)
        if min(dims) < 0:
            raise ValueError(f"{name} has the size {dims}")
        value = None
        if wanted is None or name in wanted:
            if kind == CELL:
                value = [self._element() for _ in range(count)]
            elif kind == STRUCT:
                width = int(self._array()[0])
                text = self._array().tobytes().decode("latin1")
                fields = [text[at : at + width].partition("\0")[0] for at in range(0, len(text), width)]
                value = [{field: self._element() for field in fields} for _ in range(count)]
                value = value[0] if count == 1 else value
            elif kind == CHAR:
                value = self._array(text=True)
            elif kind in NUMERIC:
                value = self._array()
                if value is not None:
                    if value.size != count:
                        raise ValueError(f"{value.size} values stand where {dims} should be")
                    value = value.reshape(dims, order="F")
        if self._left < end:
            raise ValueError("a matrix is longer than its place")
        self._skip(self._left - end)
        return name, value

    def _element(self):
        kind, size = struct.unpack(f"{self._order}II", self._take(8))
        if kind != MATRIX:
            raise ValueError(f"an element of type {kind} stands where a matrix should be")
        return self.matrix(size)[1]

    def _array(self, text=False):
        """The data element that begins here: an array [n], or a text; None if it is too large."""
        (kind,) = struct.unpack(f"{self._order}I", self._take(4))
        if kind >> 16:  # a short one: size and type share four bytes, the data are in the next four
            size, kind, room = kind >> 16, kind & 0xFFFF, 4
            if size > 4:
                raise ValueError(f"a short element has {size} bytes")
        else:
            (size,) = struct.unpack(f"{self._order}I", self._take(4))
            room = -(-size // 8) * 8
        if size > LARGEST:
            self._skip(room)
            return None
        data = self._take(room)[:size]
        self._budget["bytes"] -= room
        if self._budget["bytes"] < 0:
            raise ValueError(f"it holds more than {MOST / 1e6:.0f} MB")
        if text:
            coding = CODINGS[kind]
            return data.decode(
                coding + {"<": "-le", ">": "-be"}[self._order] if coding[-2:] in ("16", "32") else coding
            )
        return np.frombuffer(data, self._order + TYPES[kind])

    def _take(self, size):
        self._left -= size
        data = self.file.read(size) if self._left >= 0 else b""
        if len(data) < size:
            raise ValueError("it is cut short, or an element is longer than its place")
        return data

    def _skip(self, size):
        if self._left < size:
            raise ValueError("an element is longer than its place")
        if isinstance(self.file, _Inflated):
            for start in range(0, size, LARGEST):
                self._take(min(LARGEST, size - start))
        else:
            self._left -= size
            self.file.seek(size, os.SEEK_CUR)
