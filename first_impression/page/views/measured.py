"""What is measured, without a model."""

from first_impression.inference import measures

NAMES = {  # of each column of `measures`, and the words behind its number
    "speaking_share": ("Speaking", " % of the time"),
    "pauses": ("Pauses", ""),
    "pauses_s": ("Pauses in all", " s"),
    "longest_pause_s": ("Longest pause", " s"),
    "syllables_per_s": ("Syllables", " a second"),
    "loudness_db": ("Loudness", " dB"),
    "loudness_range_db": ("Loudness range", " dB"),
    "pitch_hz": ("Pitch", " Hz"),
    "pitch_range_semitones": ("Pitch range", " semitones"),
    "brightness": ("Brightness", " %"),
    "sharpness": ("Sharpness", ""),
    "motion_heights_per_s": ("Motion", " % of the height a second"),
    "one_face_share": ("Frames with one face", " %"),
    "face_size": ("Size of the face", " % of the picture"),
    "face_x": ("Face from the left", " %"),
    "face_y": ("Face from the top", " %"),
}


def section(answer):
    """What is measured of a clip; `answer` is its JSON."""
    return (
        '<section class="measured"><h2>Measured</h2><p class="note">In the sound and the pictures themselves; the '
        f"traits are guessed by models. No number here is good or bad.</p>{facts(answer)}</section>"
    )


def facts(*answers):
    """What is measured of one clip, or of two: of these, what both have, from the first to the second."""
    rows = []
    for quantity in measures.QUANTITIES:
        values = [measures.value_of(answer["measured"], quantity) for answer in answers]
        if None not in values:
            name, unit = NAMES[quantity.column]
            numbers = " → ".join(dict.fromkeys(map(quantity.number, values)))  # once where they are the same
            rows.append(f"<div><dt>{name}</dt><dd>{numbers}{unit}</dd></div>")
    return f'<dl class="facts">{"".join(rows)}</dl>'
