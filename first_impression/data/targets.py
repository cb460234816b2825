"""What a model answers: the names of its outputs, and the scale on which their labels were given.

Labels, answers and weights are in [0, 1], in the order of the names; `to_unit` and `from_unit` change between that and
the labels' own scale. The names travel with the labels into records, runs, models and manifests, and are read there:
as `as_json` has them, which says nothing of ChaLearn's five, so that what says nothing is of these.

TARGETS and SCALE of steps 3 and 4 name them. A name is written in small letters with underscores, however a table or
the setting spells it; what ChaLearn's "neuroticism" is called elsewhere is that here, high for a stable person.
"""

import math
import re
from dataclasses import dataclass, replace

from first_impression.common.words import span
from first_impression.data.chalearn import TRAITS

INTERVIEW = "interview"  # ChaLearn's sixth question: whether one would invite this person to a job interview
MOST = 100  # targets
NOT_FOR_HIRING = (
    "Interview is a guess whether strangers would have invited this person to a job interview, for research on the "
    "dataset. It must not be used for hiring, nor for any other decision about a person."
)
_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
_NUMBER = r"-?\d{1,9}(?:\.\d{1,9})?"
_SCALE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*")
_RESERVED = """clip clipname file filename mean model models name set source speaker split subset time trait value video
videoname""".split()  # other columns of tables, as `plain` has them
# Other words, as `plain` has them, for names
STABLE = ("emotionalstability", "neurotisicm", "nonneuroticism")  # these leave no doubt that high means stable
_WORDS = {trait: trait for trait in (*TRAITS, INTERVIEW)}
_WORDS |= dict.fromkeys(STABLE, "neuroticism")
_WORDS |= {"opennesstoexperience": "openness"}


@dataclass(frozen=True)
class Targets:
    """Names, in the order of labels and outputs, and the two ends of the scale of the labels as they were given."""

    names: tuple[str, ...] = TRAITS
    low: float = 0.0
    high: float = 1.0

    def to_unit(self, values):
        """Values on the labels' own scale, mapped to [0, 1]."""
        return (values - self.low) / (self.high - self.low)

    def from_unit(self, values):
        """Values in [0, 1], on the labels' own scale."""
        return self.low + values * (self.high - self.low)

    def columns(self, names):
        """Where these names lie among its own: a list of numbers."""
        return [self.names.index(name) for name in names]

    @property
    def has_own_scale(self):
        """Whether the labels were given on another scale than 0 to 1."""
        return (self.low, self.high) != (0.0, 1.0)

    @property
    def unit(self):
        """The same names for values in [0, 1], as in this project's own tables."""
        return replace(self, low=0.0, high=1.0)

    @property
    def as_json(self):
        """What says of a file that it is of these targets, a dict: nothing for ChaLearn's five."""
        return {} if self == FIVE else {"targets": list(self.names), "scale": [self.low, self.high]}

    def model_name(self, network):
        """The name of a model that answers them, which Keras keeps in its file: "dan.warmth.competence.1.0..7.0".

        That of ChaLearn's five is the network's.
        """
        return network if self == FIVE else f"{network}.{'.'.join(self.names)}.{self.low!r}..{self.high!r}"

    @property
    def in_words(self):
        """ "warmth, competence, from 1 to 7"; the scale only where it is not 0 to 1."""
        scale = f", from {self.ends_in_words}" if self.has_own_scale else ""
        return f"{', '.join(self.names)}{scale}"

    @property
    def ends_in_words(self):
        """ "1 to 7"."""
        return span(self.low, self.high)


FIVE = Targets()  # ChaLearn's five traits, in the annotations' order
NONE = Targets(())  # of who reads which clips there are, whatever their labels


def of_json(about):
    """The `Targets` that a dict says it is of, as `as_json` has written them; `FIVE` where it says nothing.

    Raises `ValueError` for anything else.
    """
    if "targets" not in about:
        return FIVE
    names, scale = about["targets"], about.get("scale")
    fits = isinstance(names, list) and all(isinstance(name, str) and _NAME.fullmatch(name) for name in names)
    if not fits or _complaint(names):
        raise ValueError("its targets have no usable names")
    if not (isinstance(scale, list) and len(scale) == 2 and all(type(end) in (int, float) for end in scale)):
        raise ValueError("its targets have no scale")
    low, high = map(float, scale)
    if not (low < high and math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"its targets have the scale {low} to {high}")
    return Targets(tuple(names), low, high)


def of_model(name):
    """The `Targets` of a model of this name, as `model_name` gives it; `FIVE` of others. Raises as `of_json` does."""
    found = re.fullmatch(r"[^.]*\.((?:[a-z][a-z0-9_]*\.)+)(-?[0-9][-0-9.e]*)\.\.(-?[0-9][-0-9.e]*)", name)
    if not found:
        return FIVE
    names, *scale = found.groups()
    return of_json({"targets": names[:-1].split("."), "scale": list(map(float, scale))})


def of_settings(names, scale):
    """The `Targets` of TARGETS and SCALE, texts that `targets_rule` and `scale_rule` take."""
    return Targets(tuple(map(named, names.split(","))) if names else TRAITS, *scale_of(scale))


def scale_of(text):
    """(low, high) of the text of a scale, "1..7"; None of what is none."""
    ends = _SCALE.fullmatch(text)
    low, high = map(float, ends.groups()) if ends else (0.0, 0.0)
    return (low, high) if low < high else None


def all_names(several):
    """The names that these `Targets` have, each once, in the order of the first ones: a tuple."""
    return tuple(dict.fromkeys(name for targets in several for name in targets.names))


def shared_names(several):
    """The names that all of these `Targets` have, in the order of the first ones: a tuple."""
    return tuple(name for name in several[0].names if all(name in targets.names for targets in several))


def named(word):
    """The name of the target that a word means: "Emotional Stability" is ChaLearn's "neuroticism"."""
    return _WORDS.get(plain(word)) or re.sub(r"[\W_]+", "_", word.lower()).strip("_")


def plain(word):
    """A word in small letters, without "Value" before it, ChaLearn's habit, and without anything between its parts."""
    return re.sub(r"^value(?=.)", "", re.sub(r"[^a-z0-9]", "", word.lower()))


def targets_rule(value):
    """A rule for TARGETS: "", ChaLearn's five traits, or names with commas between."""
    return _complaint([named(word) for word in value.split(",")]) if value else None


def _complaint(names):
    """What is wrong with a list of names; None where nothing is."""
    if bad := [name for name in names if not _NAME.fullmatch(name)]:
        what = "must be names with commas between, of letters from a to z, digits and underscores, 40 at most"
        return f"{what}, the first a letter, not {bad[0][:60]!r}"
    if taken := [name for name in names if plain(name) in _RESERVED]:
        return f"{taken[0]} has another meaning in tables here: rename that column"
    words = [plain(name) for name in names]
    if twice := [name for name in names if words.count(plain(name)) > 1]:
        return f"names {twice[0]} twice"
    return f"names {len(names)} targets, {MOST} at most" if not 0 < len(names) <= MOST else None


def scale_rule(value):
    """A rule for SCALE: the ends of the scale of the labels, "1..7"."""
    return None if scale_of(value) else 'must be two numbers with ".." between, the lower one first: 0..1, or 1..7'
