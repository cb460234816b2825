"""The page's event handlers: what happens at a click, and at a call of a program."""

import contextlib
import contextvars
import secrets
import shutil
import threading
import time
from pathlib import Path
from urllib.parse import quote

import gradio as gr

from first_impression.common.errors import BadClipError, UserError, short_message
from first_impression.inference.what_if import WhatIf
from first_impression.page import takes
from first_impression.page.views import answer, around, beside, course, measured, moment, what_if
from first_impression.page.views import kept as kept_view

LONGEST_NAME = 100  # characters of a clip's name that are shown
COPY = 0  # in the place of a take's number: the copy of a kept take that is played
PROGRESS = gr.Progress()  # Gradio gives each event one of its own in its place


class Pace:
    """The time that a window of a clip takes: by the windows that are done, or else by the clip before."""

    seconds = 0.0  # for a window; 0.0: none was answered so far

    @contextlib.contextmanager
    def shown_by(self, progress, name):
        """Give the block an `on_step` for `takes.answer_take`, by which Gradio's `progress` shows the time left."""
        begun, now = time.monotonic(), ("opening it", 0, 0)

        def show():
            (step, done, count), spent = now, time.monotonic() - begun
            words = [f"{name}: {step}" + (f" (part {done + 1} of {count})" if count > 1 else "")]
            if whole := self.seconds * count:
                words += [f"about {max(1, whole - spent):.0f} s left" if spent < whole else "longer than expected"]
            progress(min(0.95, spent / whole) if whole else 0.1, desc=", ".join(words))

        def on_step(step, done, count):
            nonlocal now
            now = step, done, count
            self.seconds = (time.monotonic() - begun) / done if done else self.seconds
            show()

        show()
        with every_second(show):
            yield on_step
        self.seconds = (time.monotonic() - begun) / now[2]


@contextlib.contextmanager
def every_second(act):
    """Call `act()` after each second of the block, in the block's context, which Gradio knows its event by."""
    ended = threading.Event()

    def keep_acting():
        while not ended.wait(1):
            act()

    thread = threading.Thread(target=contextvars.copy_context().run, args=[keep_acting], daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Events:
    """The handlers of the page's events. They return the new contents, most of them as {part of the page: content}.

    `parts` are the page's `layout.Parts`, `empty` is what its answer is without a take, the rest is as of
    `layout.build`.
    """

    def __init__(self, parts, empty, ensemble, about, visitors, limits, draw, kept=None):
        self.parts, self.empty, self.ensemble, self.about = parts, empty, ensemble, about
        self.visitors, self.limits, self.draw, self.kept = visitors, limits, draw, kept
        self.pace = Pace()

    def on_clip(self, number, against, event: gr.EventData, request: gr.Request, progress=PROGRESS):
        name = str(event.name)[:LONGEST_NAME] or "clip"
        return self.answered(name, lambda folder: uploaded(str(event.path)), (number, against), request, progress)

    def on_drawn(self, number, against, request: gr.Request, progress=PROGRESS):
        return self.answered("drawn clip", self.drawn, (number, against), request, progress)

    def answered(self, name, find, shown, request, progress):
        """Answer a new clip, which `find(folder of the visitor)` gives; what was `shown` comes back where it fails."""
        parts = self.parts
        with self.served(request) as visitor:
            try:
                with self.pace.shown_by(progress, name) as on_step:
                    number = self.take_in(find(visitor.folder), name, visitor, on_step)
                visitor.answered += [number] if find != self.drawn else []  # a drawn head is nobody's take
            except (BadClipError, UserError) as reason:
                return {**self.show(*shown, visitor), parts.alert: around.alert(f"{name} cannot be used: {reason}")}
            choices = [(f"Take {take.number}: {take.name}", take.number) for take in visitor.takes.values()]
            earlier = choices[:-1]
            against = earlier[-1][1] if earlier else 0
            return {
                **self.show(number, against, visitor),
                parts.alert: around.done(visitor.takes[number]),
                parts.which: gr.Radio(choices=choices, value=number, visible=bool(earlier)),
                parts.other: gr.Radio(choices=[("none", 0), *earlier], value=against, visible=bool(earlier)),
            }

    @contextlib.contextmanager
    def served(self, request):
        """The `Visitor` who asks, for the block."""
        try:
            with self.visitors.served(request.session_hash) as visitor:
                yield visitor
        except UserError as reason:
            raise gr.Error(str(reason), print_exception=False) from None

    def take_in(self, sent, name, visitor, on_step):
        """Answer the clip at the path `sent`: the take's number. Raises as `takes.answer_take` does."""
        number = visitor.count + 1
        clip = visitor.folder / takes.file_name(number, sent)
        visitor.add(number, sent, clip)
        try:
            visitor.takes[number] = takes.answer_take(
                number, name, clip, self.ensemble, self.limits.frames, self.limits.seconds, on_step
            )
        except (BadClipError, UserError):
            visitor.remove(number)
            raise
        visitor.count = number
        for oldest in sorted(visitor.takes)[: -self.limits.takes]:
            visitor.remove(oldest)
        return number

    def drawn(self, folder):
        """Draw the sample's clip into the visitor's `folder`: its path."""
        path = folder / f"drawn-{secrets.token_hex(4)}.mp4"
        self.draw(path)
        return path

    def show(self, number, against, visitor):
        """The parts of the page that show a take beside another; those of its moment follow, by `on_middle`."""
        parts, take, before = self.parts, visitor.takes.get(number), visitor.takes.get(against)
        nothing = dict.fromkeys(parts.texts, "") | self.show_what_if(take)
        nothing |= {parts.asked: None, parts.trait: gr.Radio(visible=False), parts.example: gr.Button(visible=not take)}
        if take is None:
            return {**nothing, parts.answer: self.empty}
        compared = bool(before) and before is not take
        return {
            **nothing,
            parts.player: around.player(take, address(take.path)),
            parts.beside: beside.section(before, take, self.about) if compared else "",
            parts.answer: answer.section(take, self.about, folded=compared),
            parts.course: course.section(take, takes.middle(take)),
            parts.measured: "" if compared else measured.section(take.answer_json),
        }

    def show_what_if(self, take, state="", asking=False):
        """The part of the page with the question what if; `state` is as of `views.what_if.section`."""
        parts = self.parts
        return {
            parts.ask: gr.Button(visible=bool(take) and not asking),
            parts.stop: gr.Button(visible=asking),
            parts.what_if: what_if.section(take, state) if take else "",
        }

    def on_ask(self, number, request: gr.Request):
        """Show that the models are going to be asked: perhaps others are asking them now."""
        with self.served(request) as visitor:
            if take := visitor.takes.get(number):
                take.answer_json["what_if"] = None
            return {self.parts.alert: "", **self.show_what_if(take, what_if.WAITING, asking=bool(take))}

    def on_what_if(self, number, request: gr.Request):
        """Ask the models about edits of a take, and show what is known after each."""
        with self.served(request) as visitor:  # not longer: to ask takes none of the visitor's files
            take = visitor.takes.get(number)
        if take is None:
            return
        asked = WhatIf(take.answer, self.ensemble.models)
        try:
            for done, _ in enumerate(asked.steps(), 1):
                take.answer_json["what_if"] = asked.as_json(take.parts)
                state = what_if.asking(done, asked.count, asked.seconds_left)
                yield self.show_what_if(take, state, asking=True)
        except UserError as reason:
            yield {self.parts.alert: around.alert(f"{take.name}: {reason}")}
        yield self.end_what_if(number, request)

    def on_stop(self, number, request: gr.Request):
        return self.end_what_if(number, request, what_if.STOPPED)

    def end_what_if(self, number, request, state=""):
        with self.served(request) as visitor:
            if take := visitor.takes.get(number):
                takes.rewrite_json(take, self.about)
            return self.show_what_if(take, state)

    def on_choice(self, number, against, request: gr.Request):
        with self.served(request) as visitor:
            return self.show(number, against, visitor)

    def on_shown(self, number, request: gr.Request):
        """Offer the downloads: after the numbers, since writing them takes a while."""
        with self.served(request) as visitor:
            if (take := visitor.takes.get(number)) is None:
                return ""
            files = takes.write_downloads(take, self.about)
            return around.downloads({name: address(path) for name, path in files.items()}, self.about["targets"])

    def on_middle(self, number, shown, request: gr.Request):
        """Explain the moment that a take is first shown at."""
        with self.served(request) as visitor:
            at = takes.middle(visitor.takes.get(number))
        return self.explained(number, shown, at, request)

    def on_answered(self, keep, request: gr.Request):
        """Keep what was just answered if that is the visitor's choice by now, and forget that it was."""
        with self.served(request) as visitor:
            numbers, visitor.answered = visitor.answered, []
            if not keep:
                return gr.skip()
            try:
                for take in filter(None, map(visitor.takes.get, numbers)):
                    self.kept.keep(take, self.about)
            except UserError as reason:
                return {self.parts.alert: around.alert(str(reason))}
        return {self.parts.kept: self.show_kept()}

    def show_kept(self, played=None, source=""):
        """The list of kept takes; `played` is the name of one to be played from the address `source`."""
        try:
            return kept_view.section(self.kept.path, *self.kept.read(), played, source)
        except UserError as reason:
            return around.alert(str(reason))

    def on_play(self, event: gr.EventData, request: gr.Request):
        """Play a kept take from a copy in the visitor's folder: of the folder that is kept, Gradio serves no file."""
        with self.served(request) as visitor:
            name = str(event.name)
            try:
                clip = self.kept.clip(name)
                remove_copy(visitor)
                copy = visitor.folder / takes.file_name(COPY, clip.name)
                shutil.copyfile(clip, copy)
            except (UserError, OSError) as reason:
                return around.alert(f"It cannot be played: {short_message(reason)}") + self.show_kept()
            # Another address for another clip, or a browser would show the one that it has
            return self.show_kept(name, f"{address(copy)}?{name}")

    def on_delete(self, event: gr.EventData, request: gr.Request):
        return self.delete(request, str(event.name))

    def on_delete_all(self, request: gr.Request):
        return self.delete(request)

    def delete(self, request, *name):
        try:
            with self.served(request) as visitor:
                remove_copy(visitor)
            self.kept.delete(*name)
        except UserError as reason:
            return around.alert(str(reason)) + self.show_kept()
        return self.show_kept()

    def on_moment(self, number, shown, request: gr.Request, event: gr.EventData):
        return self.explained(number, shown, float(event.time), request)

    def explained(self, number, shown, at, request):
        words = self.on_trait(number, shown, at, request)
        return {self.parts.moment: words, self.parts.asked: at, self.parts.trait: gr.Radio(visible=bool(words))}

    def on_trait(self, number, shown, at, request: gr.Request):
        with self.served(request) as visitor:
            if at is None or (take := visitor.takes.get(number)) is None:
                return ""
            found = takes.moment(take, self.ensemble.models, at)
            return "" if found is None else moment.section(found, shown, take.answer_json)

    def answer_file(self, clip: gr.FileData) -> dict:
        """What predict.py writes as JSON for a clip."""
        path = uploaded(clip["path"])
        name = clip.get("orig_name") or path.name
        try:
            take = takes.answer_take(1, name, path, self.ensemble, self.limits.api_frames, self.limits.seconds)
            return take.document(self.about)
        except (BadClipError, UserError) as reason:
            raise gr.Error(f"{name} cannot be used: {reason}", print_exception=False) from None


def remove_copy(visitor):
    """Remove the visitor's copy of a kept take, if there is one."""
    for copy in visitor.folder.glob(f"take-{COPY}.*"):
        copy.unlink(missing_ok=True)


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
