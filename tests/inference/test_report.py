"""The picture of an answer."""

from first_impression.inference import report


def test_strip_has_the_middle_frame():
    for count in (1, 2, 3, 6, 25, 99, 100, 101):
        shown = report.strip_indices(count)
        assert len(set(shown)) == len(shown) == min(count, report.STRIP) or count < report.STRIP
        assert shown[0] == 0 and shown[-1] == count - 1 and abs(shown[len(shown) // 2] - (count - 1) / 2) <= 0.5
