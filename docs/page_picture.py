"""Draws docs/page.png, the picture of the page in the README: a clip of the sample, answered.

    ./run_pipeline.sh                                                  the sample and its runs, in sample/
    python docs/page_picture.py sample/unzippedData/validation80_01/*.mp4 --RUNS sample/runs

Of several clips the first one is taken. Needs requirements-app.txt, requirements-dev.txt, chromium and chromedriver.
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

from first_impression.common import rules, script  # noqa: E402, once the project can be found
from first_impression.common.files import whole_file  # noqa: E402

RUNS = "sample/runs"  # as app.py takes it
MODELS = ""  # as app.py takes it
WINDOW_WIDTH = 1400  # pixels of the browser's window
WINDOW_HEIGHT = 1440  # pixels
WIDTH = 1000  # pixels of the picture
COLOURS = 256  # of the picture: fewer make a smaller file
AT = 0.4  # where in the clip the moment is that is shown, as a share of its length

RULES = {"WIDTH": rules.whole(100), "COLOURS": rules.whole(2, 256), "AT": rules.between(0, 1)}


def main(settings):
    command = [sys.executable, PROJECT / "app.py", "--PORT=0", "--RUNS", settings.RUNS, "--MODELS", settings.MODELS]
    page = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = next(found[1] for line in page.stdout if (found := re.search(r"open at (\S+)", line)))
        picture = photograph(address, settings)
    finally:
        page.terminate()
        page.wait()
    small = picture.resize((settings.WIDTH, round(picture.height * settings.WIDTH / picture.width)), Image.LANCZOS)
    with whole_file(PROJECT / "docs" / "page.png") as tmp:
        small.quantize(settings.COLOURS, Image.Quantize.MAXCOVERAGE).save(tmp, "PNG", optimize=True)


def photograph(address, settings):
    """The page in a browser, with the first clip answered and a moment of it shown, as an image."""
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

        def there(selector):
            found = WebDriverWait(browser, 120).until(lambda browser: browser.find_elements(By.CSS_SELECTOR, selector))
            return found[0]

        browser.get(address)
        there("input[type=file]").send_keys(str(Path(settings.CLIPS[0]).resolve()))
        there("#downloads a")
        seek = there(".seek")
        aside = round((settings.AT - 0.5) * seek.size["width"])
        webdriver.ActionChains(browser).move_to_element_with_offset(seek, aside, 0).click().perform()
        there("section.moment")
        return Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")


if __name__ == "__main__":
    script.run(main, inputs="CLIPS")
