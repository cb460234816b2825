"""What the page shows before the first take: who answers, and what becomes of a clip."""

from html import escape

SENSES = {"image": "looks at the pictures", "audio": "listens to the sound"}  # by the kind of a model


def section(about, where, limits, kept=None):
    """The models that are loaded and what they are, and what is stored where.

    `about` is as of `document.about_models`; `where` names the machine that has the clips, `limits` are
    `layout.Limits`, `kept` is the `kept.Folder` that takes can be kept in.
    """
    choice = f", but for takes that you choose to keep in {escape(str(kept.path))}" if kept else ""
    models = "".join(_model(name, model) for name, model in about["models"].items())
    return (
        '<section class="empty"><h2>No take yet</h2>'
        "<p>Record yourself, or choose a clip. What the page measures in it and what the models guess of it will "
        "appear here; with a second take, also what differs.</p>"
        f'<h3>Who guesses</h3><ul class="facts">{models}</ul>'
        f"<h3>What is stored</h3><p>Your clip goes to {where} and nowhere else, into a temporary folder with what is "
        f"made of it. Up to {limits.takes} takes stay while you are here, and all are deleted when you close the "
        f"page{choice}. What you download remains.</p><h3>What an answer looks like</h3></section>"
    )


def _model(name, model):
    learnt = f"training data: {model['dataset'] or 'clips of somebody’s own'}"
    start = f", starting from {model['started_from']}" if model["kind"] == "image" else ""
    return f"<li><b>{escape(name)}</b> {SENSES[model['kind']]}; {escape(learnt)}{escape(start)}</li>"
