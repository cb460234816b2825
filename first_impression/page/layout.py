"""The page: what stands where, and what happens at a click. Its parts are drawn in views.py."""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import gradio as gr

from first_impression.common.errors import BadClipError, UserError, short_message
from first_impression.evaluation.traits import SHOWN
from first_impression.page import takes, views

HERE = Path(__file__).parent
DEVICE = {"concurrency_id": "device", "concurrency_limit": 1}  # one question at a time to the models
SHOW_ONLY = {"api_visibility": "private"}  # what the page's own parts ask; programs ask /answer
REMINDER = (
    "What strangers might think at first sight, as a model guesses it. It is <b>no measure of a person</b>, and "
    "<b>not for decisions about people</b>."
)
LONGEST_NAME = 100  # characters of a clip's name that are shown
PROMPT = "Talk about something that you like to do: what it is, how you came to it, what you would show a friend of it."
RECORDER = """
<p class="prompt">${prompt}</p>
<video data-part="preview" autoplay muted playsinline hidden aria-label="Your camera"></video>
<p class="buttons"><button type="button" class="record" data-part="record">Record</button>
<label class="choose">or choose a clip <input type="file" data-part="file" accept="video/*,audio/*"></label></p>
<p class="note">A recording ends by itself after ${seconds} s. It stays on ${where}, and is deleted when you close the
page.</p>
<p class="words" data-part="words" role="status"></p>
"""
PROGRESS = gr.Progress()  # Gradio gives each event one of its own in its place
NO_TAKE = '<p class="none">Record yourself, or choose a clip: its answer will stand here.</p>'


@dataclass
class Limits:
    """What the page takes of a visitor."""

    frames: int  # that are looked at of a clip, or of each of its windows
    api_frames: int  # of a clip that a program sends
    seconds: float  # of a clip, at most
    most_bytes: int  # of a clip's file
    record_seconds: int  # after which a recording ends
    takes: int  # of a visitor; the oldest one goes


class Pace:
    """How long a window of a clip takes: as long as those before."""

    seconds = 0.0  # for a window; 0.0: none was answered so far

    @contextlib.contextmanager
    def told_by(self, progress):
        """Give the block what `takes.answer_take` tells, for Gradio's `progress` to show with the time that is left."""
        progress(0, desc="reading the clip")
        begun = []  # (when, of how many) windows

        def tell(done, count):
            begun.append((time.monotonic(), count))
            left = f", about {self.seconds * (count - done):.0f} s left" if self.seconds else ""
            progress((done + 0.2) / (count + 0.2), desc=f"asking the models{left}")

        yield tell
        self.seconds = (time.monotonic() - begun[0][0]) / begun[0][1]


def build(models, about, visitors, limits, where="this machine"):
    """The page, ready to be launched: `gr.Blocks`.

    `models` are those asked, `about` is what `answers.about_models` says of them, `visitors` who is there. `where` is
    what to call the machine that has the clips.
    """
    pace = Pace()

    def on_clip(event: gr.EventData, request: gr.Request, progress=PROGRESS):
        name = str(event.name)[:LONGEST_NAME] or "clip"
        with visitors.served(request.session_hash) as visitor:
            try:
                with pace.told_by(progress) as tell:
                    number = take_in(str(event.path), name, visitor, tell)
            except (BadClipError, UserError) as reason:
                return {alert: views.alert(f"{name} cannot be used: {reason}")}
            choices = [(f"Take {take.number}: {take.name}", take.number) for take in visitor.takes.values()]
            earlier = choices[:-1]
            against = earlier[-1][1] if earlier else 0
            return {
                alert: "",
                which: gr.Radio(choices=choices, value=number, visible=bool(earlier)),
                other: gr.Radio(choices=[("none", 0), *earlier], value=against, visible=bool(earlier)),
                **show(number, against, visitor),
            }

    def take_in(sent, name, visitor, tell):
        """Answer what a visitor has sent: the take's number. Raises as `takes.answer_take` does."""
        visitor.count += 1
        number, clip = visitor.count, visitor.folder / takes.file_name(visitor.count, sent)
        uploaded(sent).rename(clip)
        try:
            visitor.takes[number] = takes.answer_take(number, name, clip, models, limits.frames, limits.seconds, tell)
        except (BadClipError, UserError):
            clip.unlink()
            raise
        for oldest in sorted(visitor.takes)[: -limits.takes]:
            for file in visitor.folder.glob(f"take-{oldest}.*"):
                file.unlink()
            del visitor.takes[oldest]
        return number

    def show(number, against, visitor):
        take, before = visitor.takes.get(number), visitor.takes.get(against)
        if take is None:
            return {answer: NO_TAKE, course: "", moment: "", asked: None, downloads: "", player: "", beside: ""}
        return {
            player: views.player(take, address(take.path)),
            answer: views.traits(take, about),
            course: views.course(take),
            beside: views.beside(before, take) if before and before is not take else "",
            moment: "",
            asked: None,
            downloads: "",
            trait: gr.Radio(visible=bool(take.frames)),
        }

    def on_choice(number, against, request: gr.Request):
        with visitors.served(request.session_hash) as visitor:
            return show(number, against, visitor)

    def on_shown(number, request: gr.Request):
        """What comes after the first numbers, since it takes a while."""
        with visitors.served(request.session_hash) as visitor:
            if (take := visitor.takes.get(number)) is None:
                return ""
            return views.downloads({name: address(path) for name, path in takes.write_downloads(take, about).items()})

    def on_moment(number, shown, request: gr.Request, event: gr.EventData):
        explained = on_trait(number, shown, at := float(event.time), request)
        return (explained, at) if explained else ("", None)

    def on_trait(number, shown, at, request: gr.Request):
        with visitors.served(request.session_hash) as visitor:
            if at is None or (take := visitor.takes.get(number)) is None:
                return ""
            return views.moment(takes.moment(take, models, at), shown, take.told)

    def on_leave(request: gr.Request):
        visitors.leave(request.session_hash)

    def answer_file(clip: gr.FileData) -> dict:
        """What predict.py writes as JSON for a clip."""
        path = uploaded(clip["path"])
        name = clip.get("orig_name") or path.name
        try:
            return takes.answer_take(1, name, path, models, limits.api_frames, limits.seconds).document(about)
        except (BadClipError, UserError) as reason:
            raise gr.Error(f"{name} cannot be used: {reason}", print_exception=False) from None

    with gr.Blocks(title="First impression", analytics_enabled=False, delete_cache=(60, 600)) as page:
        gr.HTML(f"<h1>First impression</h1><p>{REMINDER}</p>", elem_id="reminder", js_on_load=None)
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=2, min_width=300):
                recorder = gr.HTML(
                    html_template=RECORDER,
                    js_on_load=(HERE / "recorder.js").read_text(encoding="utf-8"),
                    elem_id="recorder",
                    prompt=PROMPT,
                    where=where,
                    seconds=limits.record_seconds,
                    most_bytes=limits.most_bytes,
                )
                alert = gr.HTML(elem_id="alert", js_on_load=None)
                player = gr.HTML(elem_id="player", js_on_load=None)
                which = gr.Radio(choices=[], label="Take to look at", visible=False, elem_id="which")
                other = gr.Radio(choices=[], label="Beside which take", visible=False, elem_id="other")
                downloads = gr.HTML(elem_id="downloads", js_on_load=None)
            with gr.Column(scale=3, min_width=300):
                answer = gr.HTML(NO_TAKE, elem_id="answer", js_on_load=None)
                script = (HERE / "course.js").read_text(encoding="utf-8")
                course = gr.HTML(elem_id="course", js_on_load=script)
                named = [(views.NAMES[each], each) for each in SHOWN]
                trait = gr.Radio(choices=named, value=SHOWN[0], label="What moved", visible=False, elem_id="trait")
                moment = gr.HTML(elem_id="moment", js_on_load=None)
                asked = gr.State(None)  # the moment
                beside = gr.HTML(elem_id="beside", js_on_load=None)
        shown = [player, answer, course, beside, moment, asked, downloads, trait]
        given = recorder.submit(
            on_clip, None, [alert, which, other, *shown], show_progress_on=[answer], **DEVICE, **SHOW_ONLY
        )
        given.then(on_shown, which, downloads, show_progress_on=[downloads], **DEVICE, **SHOW_ONLY)
        for choice in (which, other):
            chosen = choice.input(on_choice, [which, other], shown, show_progress="hidden", **SHOW_ONLY)
            chosen.then(on_shown, which, downloads, show_progress_on=[downloads], **DEVICE, **SHOW_ONLY)
        course.select(on_moment, [which, trait], [moment, asked], **DEVICE, **SHOW_ONLY)
        trait.input(on_trait, [which, trait, asked], moment, **DEVICE, **SHOW_ONLY)
        gr.api(answer_file, api_name="answer", **DEVICE)
        page.unload(on_leave)
    return page


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


def open_page(page, host, port, served, limits):
    """Open the page at `host` and `port` (0: any that is free): its address. It is served from other threads.

    Of the machine's files, a browser that knows their names gets those in the folder `served`.
    Raises `UserError` where the port is taken.
    """
    try:
        _, address, _ = page.queue(max_size=20).launch(
            server_name=host,
            server_port=port or None,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            allowed_paths=[str(served)],
            max_file_size=limits.most_bytes,
            theme=gr.themes.Default(primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            css=(HERE / "page.css").read_text(encoding="utf-8"),
        )
    except OSError as error:
        raise UserError(f"the page cannot be opened at {host}, port {port}: {short_message(error)}") from None
    return address
