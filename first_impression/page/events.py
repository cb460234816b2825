"""The page's event handlers: what happens at a click, and at a call of a program."""

import contextlib
import time
from pathlib import Path
from urllib.parse import quote

import gradio as gr

from first_impression.common.errors import BadClipError, UserError
from first_impression.page import takes
from first_impression.page.views import answer, around, beside, course, moment

LONGEST_NAME = 100  # characters of a clip's name that are shown
PROGRESS = gr.Progress()  # Gradio gives each event one of its own in its place


class Pace:
    """The time that a window of a clip takes, estimated from the clip before."""

    seconds = 0.0  # for a window; 0.0: none was answered so far

    @contextlib.contextmanager
    def shown_by(self, progress):
        """Give the block an `on_window` for `takes.answer_take`, by which Gradio's `progress` shows the time left."""
        progress(0, desc="reading the clip")
        begun = []  # (when, of how many) windows

        def on_window(done, count):
            begun.append((time.monotonic(), count))
            left = f", about {self.seconds * (count - done):.0f} s left" if self.seconds else ""
            progress((done + 0.2) / (count + 0.2), desc=f"asking the models{left}")

        yield on_window
        self.seconds = (time.monotonic() - begun[0][0]) / begun[0][1]


class Events:
    """The handlers of the page's events. They return the new contents, most of them as {part of the page: content}.

    `parts` are the page's `layout.Parts`, the rest is as of `layout.build`.
    """

    def __init__(self, parts, ensemble, about, visitors, limits):
        self.parts, self.ensemble, self.about, self.visitors, self.limits = parts, ensemble, about, visitors, limits
        self.pace = Pace()

    def on_clip(self, event: gr.EventData, request: gr.Request, progress=PROGRESS):
        parts, name = self.parts, str(event.name)[:LONGEST_NAME] or "clip"
        with self.served(request) as visitor:
            try:
                with self.pace.shown_by(progress) as on_window:
                    number = self.take_in(str(event.path), name, visitor, on_window)
            except (BadClipError, UserError) as reason:
                return {parts.alert: around.alert(f"{name} cannot be used: {reason}")}
            choices = [(f"Take {take.number}: {take.name}", take.number) for take in visitor.takes.values()]
            earlier = choices[:-1]
            against = earlier[-1][1] if earlier else 0
            return {
                parts.alert: "",
                parts.which: gr.Radio(choices=choices, value=number, visible=bool(earlier)),
                parts.other: gr.Radio(choices=[("none", 0), *earlier], value=against, visible=bool(earlier)),
                **self.show(number, against, visitor),
            }

    @contextlib.contextmanager
    def served(self, request):
        """The `Visitor` who asks, for the block."""
        try:
            with self.visitors.served(request.session_hash) as visitor:
                yield visitor
        except UserError as reason:
            raise gr.Error(str(reason), print_exception=False) from None

    def take_in(self, sent, name, visitor, on_window):
        """Answer the clip that a visitor has sent: the take's number. Raises as `takes.answer_take` does."""
        visitor.count += 1
        number, clip = visitor.count, visitor.folder / takes.file_name(visitor.count, sent)
        visitor.add(number, uploaded(sent), clip)
        try:
            visitor.takes[number] = takes.answer_take(
                number, name, clip, self.ensemble, self.limits.frames, self.limits.seconds, on_window
            )
        except (BadClipError, UserError):
            visitor.remove(number)
            raise
        for oldest in sorted(visitor.takes)[: -self.limits.takes]:
            visitor.remove(oldest)
        return number

    def show(self, number, against, visitor):
        parts, take, before = self.parts, visitor.takes.get(number), visitor.takes.get(against)
        nothing = {parts.moment: "", parts.asked: None, parts.downloads: ""}
        if take is None:
            return {**nothing, parts.player: "", parts.answer: answer.NO_TAKE, parts.course: "", parts.beside: ""}
        return {
            **nothing,
            parts.player: around.player(take, address(take.path)),
            parts.answer: answer.section(take, self.about),
            parts.course: course.section(take),
            parts.beside: beside.section(before, take) if before and before is not take else "",
            parts.trait: gr.Radio(visible=bool(take.frames)),
        }

    def on_choice(self, number, against, request: gr.Request):
        with self.served(request) as visitor:
            return self.show(number, against, visitor)

    def on_shown(self, number, request: gr.Request):
        """Offer the downloads: after the numbers, since writing them takes a while."""
        with self.served(request) as visitor:
            if (take := visitor.takes.get(number)) is None:
                return ""
            files = takes.write_downloads(take, self.about)
            return around.downloads({name: address(path) for name, path in files.items()})

    def on_moment(self, number, shown, request: gr.Request, event: gr.EventData):
        explained = self.on_trait(number, shown, at := float(event.time), request)
        return (explained, at) if explained else ("", None)

    def on_trait(self, number, shown, at, request: gr.Request):
        with self.served(request) as visitor:
            if at is None or (take := visitor.takes.get(number)) is None:
                return ""
            return moment.section(takes.moment(take, self.ensemble.models, at), shown, take.answer_json)

    def answer_file(self, clip: gr.FileData) -> dict:
        """What predict.py writes as JSON for a clip."""
        path = uploaded(clip["path"])
        name = clip.get("orig_name") or path.name
        try:
            take = takes.answer_take(1, name, path, self.ensemble, self.limits.api_frames, self.limits.seconds)
            return take.document(self.about)
        except (BadClipError, UserError) as reason:
            raise gr.Error(f"{name} cannot be used: {reason}", print_exception=False) from None


def uploaded(path):
    """The path of a file that a browser has just sent to Gradio.

    Raises `BadClipError` for any other: a hostile page can name what it likes.
    """
    from gradio.utils import get_upload_folder

    path = Path(path).resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise BadClipError("it is not there any more: send it again")
    return path


def address(path):
    """Where a browser finds a file in one of the folders that Gradio serves."""
    return f"gradio_api/file={quote(str(path))}"
