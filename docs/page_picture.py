"""Takes docs/page.png, the README's screenshot of the page with the predictions for a clip of the sample.

    ./run_pipeline.sh                                   makes the sample and its runs in sample/
    .venv/bin/python docs/page_picture.py sample/unzippedData/validation80_01/*.mp4

Uses the first of several clips. Needs requirements-app.txt, requirements-dev.txt, chromium and chromedriver.
"""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from first_impression.common import rules, script  # noqa: E402, needs the path above
from first_impression.common.files import whole_file  # noqa: E402

RUNS = "sample/runs"  # as in app.py
MODELS = ""  # as in app.py
WINDOW_WIDTH = 1400  # of the browser, in pixels
WINDOW_HEIGHT = 1440  # likewise
WIDTH = 1000  # of the picture, in pixels
COLOURS = 256  # of the picture; fewer make a smaller file
AT = 0.4  # the moment to show, as a fraction of the clip's length

RULES = {"WIDTH": rules.whole(100), "COLOURS": rules.whole(2, 256), "AT": rules.between(0, 1)}


def main(settings):
    command = [sys.executable, PROJECT / "app.py", "--PORT=0", "--RUNS", settings.RUNS, "--MODELS", settings.MODELS]
    page = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = next(match[1] for line in page.stdout if (match := re.search(r"open at (\S+)", line)))
        picture = screenshot(address, settings)
    finally:
        page.terminate()
        page.wait()
    small = picture.resize((settings.WIDTH, round(picture.height * settings.WIDTH / picture.width)), Image.LANCZOS)
    with whole_file(PROJECT / "docs" / "page.png") as tmp:
        small.quantize(settings.COLOURS, Image.Quantize.MAXCOVERAGE).save(tmp, "PNG", optimize=True)


def screenshot(address, settings):
    """The page in a browser, showing the predictions for the first clip and one of its moments: a PIL image, RGB."""
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "headless=new",
        "no-sandbox",
        "hide-scrollbars",
        f"window-size={settings.WINDOW_WIDTH},{settings.WINDOW_HEIGHT}",
    ):
        options.add_argument(f"--{flag}")
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as browser:

        def wait_for(selector):
            return WebDriverWait(browser, 120).until(lambda it: it.find_elements(By.CSS_SELECTOR, selector))[0]

        browser.get(address)
        wait_for("input[type=file]").send_keys(str(Path(settings.CLIPS[0]).resolve()))
        wait_for("#downloads a")
        seek = wait_for(".seek")
        from_centre = round((settings.AT - 0.5) * seek.size["width"])
        webdriver.ActionChains(browser).move_to_element_with_offset(seek, from_centre, 0).click().perform()
        wait_for("section.moment")
        return Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")


if __name__ == "__main__":
    script.run(main, inputs="CLIPS")
