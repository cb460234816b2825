"""The packets of streams, undecoded, as ffmpeg lists them in its format framecrc.

They are read as they come, 25 bytes each, so that hours fit into memory. The listing is a process of its own: where
decoding stops early, a listing by the same process would stop there too, and would not show what is missing.
"""

from array import array
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import media

LISTING = ("-c", "copy", "-f", "framecrc", "-")  # ffmpeg's options for a listing of packets, undecoded
NO_TIME = -(2**63)  # ffmpeg's number for a time that a file does not give
# ffmpeg's flags of packets: bytes of it are missing; an edit list hides it: it is decoded, if at all, but not shown
CORRUPT, DISCARD = 2, 4
MOST_PACKETS = 5_000_000  # of a stream: six hours at 230 a second


@dataclass(frozen=True)
class Packets:
    """The packets of a stream in the file's order; all times are int64 [n], in units of `unit` seconds."""

    facts: dict  # what the listing says of the stream: "media_type", "codec_id", "dimensions", ..: text
    decoded: np.ndarray  # when each is decoded
    shown: np.ndarray  # when it is shown or heard; NO_TIME where the file does not say
    durations: np.ndarray  # for how long; 0 where the file does not say
    flags: np.ndarray  # CORRUPT, DISCARD, neither or both: int8 [n]

    @property
    def unit(self):
        return float(Fraction(self.facts["tb"]))

    @property
    def seconds_shown(self):
        # AVI gives no times of showing, only those of decoding: a few frames off, at most
        return (self.decoded if NO_TIME in self.shown else self.shown) * self.unit

    @property
    def end(self):
        """When the last one has been shown or heard, in seconds; 0.0 where there is none."""
        return float((self.seconds_shown + self.durations * self.unit).max(initial=0.0))


def list_packets(arguments):
    """([`Packets`] of each stream that these arguments of ffmpeg map and it finds, the ended `Streaming`).

    Raises `BadClipError` for a stream of more than MOST_PACKETS.
    """
    facts, columns = defaultdict(dict), defaultdict(lambda: [array(kind) for kind in "qqqb"])
    with media.streaming([*arguments, *LISTING]) as ffmpeg:
        for line in ffmpeg.stdout:
            if line.startswith(b"#"):  # "#tb 0: 1/25", of stream 0
                fact, _, value = line[1:].decode().partition(":")
                fact, _, stream = fact.partition(" ")
                if stream.isdigit():
                    facts[int(stream)][fact] = value.strip()
            else:  # stream, time of decoding, of showing, duration, size, checksum, perhaps flags and more
                stream, *times, _, _ = line.split(b",", 6)[:6]
                flags = line.partition(b"F=0x")[2].partition(b",")[0]
                values = *map(int, times), int(flags or b"0", 16) & (CORRUPT | DISCARD)
                for column, value in zip(columns[int(stream)], values, strict=True):
                    column.append(value)
                if len(column) > MOST_PACKETS:
                    raise BadClipError(f"more than {MOST_PACKETS:,} frames or packets of sound")
    return [Packets(facts[stream], *map(np.array, columns[stream])) for stream in sorted(facts)], ffmpeg
