"""A page that shows the first impression that a clip makes: record yourself or choose a clip, look, retry, compare.

Reads   runs/<NAME>/final.keras, else sample/runs
Writes  a temporary folder, with a folder for each visitor that goes when the visitor goes; into KEEP, takes of visitors
        who choose that
Run     ./run_app.sh, or python app.py where requirements-app.txt is installed
"""

import contextlib
import functools
import importlib.util
import os
import tempfile
import time
from pathlib import Path

from first_impression.common import rules, script, signals
from first_impression.common.errors import UserError
from first_impression.data import media
from first_impression.data.targets import INTERVIEW
from first_impression.inference import document, models
from first_impression.page import kept, visitors
from first_impression.sample import example
from first_impression.sharing.fetching import published_folder
from first_impression.training import number_format
from first_impression.training.runs import find_runs
from first_impression.training.saved_models import FINAL

# Where the page is
HOST = "127.0.0.1"  # address to listen at; this one is reached from this machine alone
PORT = 7860  # 0: any that is free

# Who answers
RUNS = ""  # trained runs: their folder, or a published one, its zip or its address; empty: runs, else sample/runs
MODELS = ""  # the runs to ask, by name, commas between them; empty: all that are trained
MIXED_PRECISION = "auto"  # convolutions: "auto": in bfloat16 where the GPU or CPU has it; "bfloat16"; "float32"

# What is taken
FRAMES_PER_CLIP = 25  # frames looked at, spread over the clip, or over each window of 15.3 s; fewer answer sooner
API_FRAMES_PER_CLIP = 100  # the same for clips that a program sends; this is what predict.py looks at
RECORD_SECONDS = 15  # after which a recording ends
LONGEST = 120.0  # seconds of a clip
MOST_MEGABYTES = 200  # of a clip's file
TAKES = 6  # that stay, of each visitor; the oldest one goes
VISITORS = 20  # at a time
KEEP_MINUTES = 10.0  # that clips of programs stay, and visitors whose browsers are not connected any more

# What stays
KEEP = ""  # folder for the takes that visitors choose to keep, on a page for this machine alone; empty: none can be

RULES = {
    "MIXED_PRECISION": number_format.RULE,
    "PORT": rules.whole(0, 65535),
    "FRAMES_PER_CLIP": rules.whole(1, 1000),
    "API_FRAMES_PER_CLIP": rules.whole(1, 1000),
    "RECORD_SECONDS": rules.whole(1, 600),
    "LONGEST": rules.between(1, 3600),
    "MOST_MEGABYTES": rules.whole(1, 4000),
    "TAKES": rules.whole(1, 100),
    "VISITORS": rules.whole(1, 1000),
    "KEEP_MINUTES": rules.between(0.01, 1440),
}


def main(settings):
    require_gradio()
    refuse_keeping(settings)
    runs = find_runs(
        published_folder(settings.RUNS) if settings.RUNS else runs_here(),
        settings.MODELS,
        precision=settings.MIXED_PRECISION,
    )
    media.require_ffmpeg()
    with visitors.workplace() as folder:
        keep_inside(folder)
        ensemble = models.load(runs, models.shared_targets(runs, hidden=(INTERVIEW,)))
        models.warm_up(ensemble.models, (settings.FRAMES_PER_CLIP, settings.API_FRAMES_PER_CLIP))
        about = document.about_models(ensemble)
        print(*document.first_lines(about), sep="\n")
        with contextlib.suppress(signals.Stopped):
            serve(settings, ensemble, about, folder)
    but = f", but for takes that were kept in {settings.KEEP}" if settings.KEEP else ""
    print(f"\nThe page is closed, and its clips are deleted{but}.")


def runs_here():
    for folder in (Path("runs"), Path("sample/runs")):
        if any(folder.glob(f"*/{FINAL}")):
            return folder
    raise UserError(
        "neither runs/ nor sample/runs/ has a trained run: ./run_pipeline.sh makes one from the sample in minutes, and "
        "--RUNS takes a folder, a zip or an address of published ones"
    )


def require_gradio():
    if not importlib.util.find_spec("gradio"):
        raise UserError("Gradio is not installed: use ./run_app.sh, or pip install -r requirements-app.txt")


def refuse_keeping(settings):
    """Raises `UserError` where takes cannot be kept, or where others would have a hand in what is."""
    from first_impression.page import guards

    if settings.KEEP and not guards.is_loopback(settings.HOST):
        raise UserError(
            f"KEEP = {settings.KEEP!r} with HOST = {settings.HOST}: whoever reaches the page could see and delete what "
            "is kept; leave out one of the two"
        )
    if settings.KEEP and os.path.exists(settings.KEEP) and not os.path.isdir(settings.KEEP):
        raise UserError(f"KEEP = {settings.KEEP!r} is no folder: name another one")


def keep_inside(folder):
    """Send everything that Gradio writes into `folder`, and nothing to other machines."""
    tempfile.tempdir = str(folder)
    os.environ["GRADIO_TEMP_DIR"] = str(folder / visitors.UPLOADS)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"  # Gradio asks itself whether it is up


def serve(settings, ensemble, about, folder):
    """Open the page, and keep it open until a signal ends the script."""
    from first_impression.page import guards, layout

    here = guards.is_loopback(settings.HOST)
    people = visitors.Visitors(folder / "visitors", settings.VISITORS)
    limits = layout.Limits(
        settings.FRAMES_PER_CLIP,
        settings.API_FRAMES_PER_CLIP,
        settings.LONGEST,
        settings.MOST_MEGABYTES * 10**6,
        settings.RECORD_SECONDS,
        settings.TAKES,
    )
    draw = functools.partial(example.draw, longest=settings.LONGEST)
    where = "this machine" if here else "the machine that runs this page"
    to_keep = kept.Folder(settings.KEEP) if settings.KEEP else None
    page = layout.build(ensemble, about, people, limits, draw, where, to_keep)
    address = layout.open_page(page, settings.HOST, settings.PORT, people, limits)
    if not here:
        print(
            f"HOST = {settings.HOST}: whoever reaches this machine can use the page. What they send is not encrypted "
            "on its way,\nand their browsers give it no camera unless it is behind https."
        )
    print(f"The page is open at {address} (Ctrl-C closes it)", flush=True)
    try:
        keep = settings.KEEP_MINUTES * 60
        while True:
            time.sleep(keep / 10)
            people.age_out(keep)
            visitors.remove_old(folder / visitors.UPLOADS, keep)
    finally:
        page.close(verbose=False)


if __name__ == "__main__":
    script.run(main)
