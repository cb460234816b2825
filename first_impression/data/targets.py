"""What a model answers: the names of its outputs, and the scale on which their labels were given.

Labels, answers and weights are in [0, 1], in the order of the names; `to_unit` and `from_unit` change between that and
the labels' own scale. The names travel with the labels into records, runs, models and manifests, and are read there.
"""

from dataclasses import dataclass

from first_impression.data.chalearn import TRAITS


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

    @property
    def has_own_scale(self):
        """Whether the labels were given on another scale than 0 to 1."""
        return (self.low, self.high) != (0.0, 1.0)


FIVE = Targets()  # ChaLearn's five traits, in the annotations' order
