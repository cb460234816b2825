"""The layout of the page, and its server. The contents of its parts are made in views/."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from first_impression.common.errors import UserError, short_message
from first_impression.page import guards
from first_impression.page.events import Events
from first_impression.page.views import around, empty
from first_impression.page.views import kept as kept_view
from first_impression.page.views.words import title

DEVICE = {"concurrency_id": "device", "concurrency_limit": 1}  # one question at a time to the models
# As soon as a new clip comes, the one before leaves the page; the browser does this by itself
CLEAR = "() => [...Array(%d).fill(''), ...Array(%d).fill({__type__: 'update', visible: false})]"
# On a narrow window the answer is below the camera, a comparison first; what went wrong stands above it
LOOK = """() => {
  const [answer, head] = ["#columns section", "#reminder"].map((part) => document.querySelector(part));
  const seen = innerWidth >= 900 || document.querySelector("#alert [role=alert]");
  if (!seen) scrollTo(0, answer.getBoundingClientRect().top + scrollY - head.offsetHeight);
}"""
SHOW_ONLY = {"api_visibility": "private"}  # what the page's own parts ask; programs ask /answer
ABOUT = "What strangers might think of you at first sight, as models guess it."
REMINDER = "No measure of a person; not for decisions about people."
WHAT_MOVED = "Show what moved the models at this moment in their guess of"
PROMPT = "Talk about something that you like to do: what it is, how you came to it, what you would show a friend of it."
RECORDER = """
<p class="prompt">${prompt}</p>
<video data-part="preview" autoplay muted playsinline hidden aria-label="Your camera"></video>
<p class="buttons"><button type="button" class="record" data-part="record">Record</button>
<label class="choose">Choose a clip<input type="file" data-part="file" accept="video/*,audio/*"></label></p>
<p class="note">A recording ends by itself after ${seconds} s. It stays on ${where}, and is deleted when you close the
page${unless}.</p>
<p class="words" data-part="words" role="status"></p>
"""
# The button that had the focus is gone: who uses the keyboard alone would be at the top of the page again
FOCUS = """() => setTimeout(() => {
  if (document.activeElement === document.body) document.getElementById("BUTTON")?.focus()
}, 100)"""


@dataclass
class Limits:
    """Limits on what a visitor may send, and on what is kept of it."""

    frames: int  # that are looked at of a clip, or of each of its windows
    api_frames: int  # of a clip that a program sends
    seconds: float  # of a clip, at most
    most_bytes: int  # of a clip's file
    record_seconds: int  # after which a recording ends
    takes: int  # of a visitor; the oldest one goes


class Parts:
    """The parts of the page, put into the `gr.Blocks` that is open.

    `nothing` is the answer before the first take; the rest is as of `build`.
    """

    def __init__(self, about, nothing, where, limits, kept):
        self.texts, self.controls = [], []  # what changes with the take that is shown
        gr.HTML(f"{around.drawn_sample(about)}<p>{REMINDER}</p>", elem_id="reminder", js_on_load=None)
        gr.HTML(f"<h1>First impression</h1><p>{ABOUT}</p>", elem_id="title", js_on_load=None)
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=2, min_width=300):
                self.recorder = gr.HTML(
                    html_template=RECORDER,
                    js_on_load=_read("recorder.js"),
                    elem_id="recorder",
                    prompt=PROMPT,
                    where=where,
                    unless=", unless you keep it" if kept else "",
                    seconds=limits.record_seconds,
                    most_bytes=limits.most_bytes,
                )
                self.alert = self._text("alert")
                if kept:
                    words = kept_view.offer(kept.path)
                    self.keep = gr.Checkbox(
                        label="Keep my takes on this machine", info=words, container=False, elem_id="keep"
                    )
                self.player = self._text("player", script="player.js")
                self.which = gr.Radio(choices=[], label="Take to look at", visible=False, elem_id="which")
                self.other = gr.Radio(choices=[], label="Compared with", visible=False, elem_id="other")
                self.downloads = self._text("downloads")
            with gr.Column(scale=3, min_width=300):
                self.waiting = gr.HTML(elem_id="waiting", js_on_load=None)  # where Gradio draws its progress, and alone
                self.beside = self._text("beside")
                self.answer = self._text("answer", nothing)
                self.example = self._control(gr.Button("Answer a clip of a drawn head", elem_id="example"))
                self.course = self._text("course", script="course.js")
                named = [(title(target), target) for target in about["targets"]]
                self.trait = self._control(
                    gr.Radio(choices=named, value=named[0][1], label=WHAT_MOVED, visible=False, elem_id="trait")
                )
                self.moment = self._text("moment")
                self.measured = self._text("measured")
                self.asked = gr.State(None)  # the moment; where there is a State, Gradio has browsers send heartbeats
                with gr.Row(elem_id="ask"):
                    self.ask = self._control(gr.Button("What if?", visible=False, elem_id="ask-what-if"))
                    self.stop = self._control(gr.Button("Stop", variant="stop", visible=False, elem_id="stop"))
                self.what_if = self._text("what-if")
        if kept:
            self.kept = gr.HTML(elem_id="kept", js_on_load=_read("kept.js"))

    def _text(self, name, value="", script=None):
        """A part with HTML, and the file of a script for it."""
        self.texts.append(gr.HTML(value, elem_id=name, js_on_load=script and _read(script)))
        return self.texts[-1]

    def _control(self, part):
        self.controls.append(part)
        return part

    @property
    def of_what_if(self):
        return [self.ask, self.stop, self.what_if]


def build(ensemble, about, visitors, limits, draw, where="this machine", kept=None):
    """The page, ready to be launched: `gr.Blocks`.

    `ensemble` is the `models.Ensemble` to ask, `about` is as of `document.about_models`, `visitors` are the
    `visitors.Visitors`. `draw(path)` writes the clip that shows what an answer looks like. `where` is what to call the
    machine that has the clips. `kept` is the `kept.Folder` that takes can be kept in, None for none.
    """
    nothing = empty.section(about, where, limits, kept)
    with gr.Blocks(title="First impression", analytics_enabled=False) as page:
        parts = Parts(about, nothing, where, limits, kept)
        events = Events(parts, nothing, ensemble, about, visitors, limits, draw, kept)
        given = _connect(parts, events)
        if kept:
            _connect_kept(page, parts, events, given)
    return page


def _connect(parts, events):
    """Connect the parts with the handlers; returns the events after which a clip has been answered."""
    takes, of_moment = [parts.which, parts.other], [parts.which, parts.trait]
    asked, explained = {**DEVICE, **SHOW_ONLY}, [parts.moment, parts.asked, parts.trait]
    of_a_take, clear = [*parts.texts, *parts.controls], CLEAR % (len(parts.texts), len(parts.controls))
    shown, given, stop = [*of_a_take, parts.asked], [], {"cancels": [_connect_what_if(parts, events)]}

    def show_rest(event):
        middle = event.then(events.on_middle, of_moment, explained, show_progress_on=[parts.moment], **asked)
        middle.then(events.on_shown, parts.which, parts.downloads, show_progress_on=[parts.downloads], **asked)

    for new, answer in ((parts.recorder.submit, events.on_clip), (parts.example.click, events.on_drawn)):
        new(None, None, of_a_take, js=clear, **SHOW_ONLY)
        answered = new(answer, takes, [*takes, *shown], show_progress_on=[parts.waiting], **stop, **asked)
        answered.then(None, js=LOOK, **SHOW_ONLY)
        show_rest(answered)
        given.append(answered)
    for choice in takes:
        show_rest(choice.input(events.on_choice, takes, shown, show_progress="hidden", **stop, **SHOW_ONLY))
    parts.course.select(events.on_moment, of_moment, explained, show_progress_on=[parts.moment], **asked)
    parts.trait.input(events.on_trait, [*of_moment, parts.asked], parts.moment, **asked)
    gr.api(events.answer_file, api_name="answer", **DEVICE)
    return given


def _connect_what_if(parts, events):
    """Connect the question what if; returns the event that can be cancelled, in which the models are asked."""
    quietly = {"show_progress": "hidden", **SHOW_ONLY}
    begun = parts.ask.click(events.on_ask, parts.which, [parts.alert, *parts.of_what_if], **quietly)
    asking = begun.then(events.on_what_if, parts.which, [parts.alert, *parts.of_what_if], **DEVICE, **quietly)
    stopped = parts.stop.click(events.on_stop, parts.which, parts.of_what_if, cancels=[asking], **quietly)
    for before, button in ((begun, parts.stop), (asking, parts.ask), (stopped, parts.ask)):
        before.then(None, js=FOCUS.replace("BUTTON", button.elem_id), **SHOW_ONLY)
    return asking


def _connect_kept(page, parts, events, given):
    quiet = {"show_progress": "hidden", **SHOW_ONLY}
    page.load(events.show_kept, None, parts.kept, **quiet)
    for answered in given:
        answered.then(events.on_answered, parts.keep, [parts.alert, parts.kept], **quiet)
    parts.kept.select(events.on_play, None, parts.kept, **quiet)
    parts.kept.delete(events.on_delete, None, parts.kept, **quiet)
    parts.kept.clear(events.on_delete_all, None, parts.kept, **quiet)


def _read(name):
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def open_page(page, host, port, visitors, limits):
    """Open the page at `host` and `port` (0: any that is free): its address. It is served from other threads.

    Of the machine's files, only those of `visitors` are sent, to a browser that knows their names.
    Raises `UserError` where the port is taken.
    """
    try:
        _, address, _ = page.queue(max_size=20, api_open=False).launch(
            server_name=f"[{host.strip('[]')}]" if ":" in host else host,  # Gradio wants IPv6 in brackets
            server_port=port or None,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            allowed_paths=[str(visitors.folder)],
            app_kwargs={"middleware": guards.middleware(host, visitors)},
            max_file_size=limits.most_bytes,
            theme=gr.themes.Default(primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            css=_read("page.css"),
        )
    except OSError as error:
        raise UserError(f"the page cannot be opened at {host}, port {port}: {short_message(error)}") from None
    return address
