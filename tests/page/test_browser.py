"""The page in a real browser, whose camera and microphone are fed from files."""

import contextlib
import json
import shutil
import subprocess

import numpy as np
import pytest
from conftest import FFMPEG, make_clip
from pages import LABELS, audio_model, opened, save_run, tiny_dan, wait_until

if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip("no chromium and chromedriver here: the page is not tried in a browser", allow_module_level=True)
pytest.importorskip("selenium", reason="Selenium is not installed (requirements-dev.txt): no browser can be led")

from selenium import webdriver  # noqa: E402, once it is known to be there
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

pytestmark = pytest.mark.slow
HTML = "<img src=x onerror=alert(1)>"  # in names of runs and clips


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with contextlib.chdir(folder):
        save_run(f"dan {HTML}", tiny_dan(seed=3), LABELS)
        save_run("audio", audio_model(), LABELS)
    with opened(folder, "--RECORD_SECONDS=4") as page:
        yield page


@pytest.fixture(scope="module")
def browser(page):
    clip = make_clip(page.temporary.parent / "camera.mp4", np.arange(20, 220, 2), size=(320, 240))
    picture, voice = clip.with_suffix(".y4m"), clip.with_suffix(".wav")
    subprocess.run([FFMPEG, "-v", "error", "-i", clip, picture, voice], check=True)
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        "use-fake-device-for-media-stream",
        "use-fake-ui-for-media-stream",
        f"use-file-for-fake-video-capture={picture}",
        f"use-file-for-fake-audio-capture={voice}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def opened_page(browser, page):
    """The page as it opens, 1400 pixels wide."""
    widen(browser, 1400)
    browser.get(page.address)
    seen(browser, "button.record")
    return browser


def widen(browser, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def seen(browser, selector, seconds=60):
    """The element once it is there to be seen."""

    def shown(browser):
        return next((each for each in browser.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()), None)

    return WebDriverWait(browser, seconds, ignored_exceptions=[Exception]).until(shown)


def record(browser):
    """Record a take by the keyboard, and wait until its downloads are there."""
    before = [each.get_attribute("href") for each in browser.find_elements(By.CSS_SELECTOR, "#downloads a")]
    seen(browser, "button.record").send_keys(Keys.ENTER)
    WebDriverWait(browser, 20).until(lambda browser: "s left" in seen(browser, "button.record").text)

    def links(browser):
        found = [each.get_attribute("href") for each in browser.find_elements(By.CSS_SELECTOR, "#downloads a")]
        return found != before and found

    return WebDriverWait(browser, 60, ignored_exceptions=[Exception]).until(links)


def test_record_answer_seek_compare_and_download(opened_page, page):
    browser = opened_page
    links = record(browser)
    (clip,) = [path for path in page.clips if path.suffix == ".webm"]
    assert seen(browser, "section.traits").text.count("higher than") == 5
    assert [link.rpartition(".")[2] for link in links] == ["png", "json", "csv"]
    told = json.loads(clip.with_suffix(".json").read_text())["clips"]["recording.webm"]
    assert told["duration"] == pytest.approx(4, abs=0.7) and told["video"] and told["sound"]

    seek = seen(browser, ".seek")
    webdriver.ActionChains(browser).move_to_element(seek).click().perform()
    assert seen(browser, "section.moment").text.startswith("At ")
    assert seen(browser, "#player video").get_property("currentTime") == pytest.approx(told["end"] / 2, abs=0.1)
    assert seen(browser, ".head").is_displayed()

    seen(browser, ".course input[type=range]").send_keys(Keys.HOME)
    WebDriverWait(browser, 20).until(lambda browser: "At 0.0 s" in seen(browser, "section.moment").text)
    assert seen(browser, "#player video").get_property("currentTime") == 0
    browser.find_element(By.CSS_SELECTOR, "#trait input[value=openness]").send_keys(Keys.SPACE)
    WebDriverWait(browser, 20).until(lambda browser: "what moved openness" in seen(browser, "section.moment").text)

    record(browser)
    beside = seen(browser, "section.beside").text
    assert beside.startswith("Take 1 (recording.webm) beside Take 2 (recording.webm)")
    assert beside.count("variation within a take") == 5
    browser.execute_script("window.scrollTo(0, document.documentElement.scrollHeight)")
    reminder = browser.execute_script("return document.querySelector('#reminder').getBoundingClientRect()")
    assert reminder["top"] == 0 and "not for decisions about people" in seen(browser, "#reminder").text

    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"]
    own = (page.address, f"blob:{page.address}", "data:")
    assert len(addresses) > 10 and not [address for address in addresses if not address.startswith(own)]
    answered = [each["params"]["response"] for each in asked if each["method"] == "Network.responseReceived"]
    assert not [response["url"] for response in answered if response["status"] >= 400]
    failed = [each["params"] for each in asked if each["method"] == "Network.loadingFailed"]
    assert not [each for each in failed if not each.get("canceled")]
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_a_broken_file_is_one_line_and_the_next_one_is_answered(opened_page, folder):
    browser = opened_page
    (folder / "broken.mp4").write_bytes(b"no clip at all")
    chosen = browser.find_element(By.CSS_SELECTOR, "input[type=file]")
    chosen.send_keys(str(folder / "broken.mp4"))
    assert "broken.mp4 cannot be used" in seen(browser, "[role=alert]").text
    chosen.send_keys(str(make_clip(folder / "clip.mp4", [90] * 50)))
    assert "Take 2 (clip.mp4)" in seen(browser, "section.traits").text
    assert not browser.find_elements(By.CSS_SELECTOR, "[role=alert]")


def test_names_of_clips_and_runs_are_text_on_the_page(opened_page, folder):
    browser = opened_page
    chosen = browser.find_element(By.CSS_SELECTOR, "input[type=file]")
    (folder / f"{HTML}.mp4").write_bytes(b"no clip at all")
    chosen.send_keys(str(folder / f"{HTML}.mp4"))
    assert f"{HTML}.mp4 cannot be used" in seen(browser, "[role=alert]").text
    make_clip(folder / f"{HTML}.mp4", range(20, 220, 2))
    for number in (2, 3):
        chosen.send_keys(str(folder / f"{HTML}.mp4"))
        WebDriverWait(browser, 60, ignored_exceptions=[Exception]).until(
            lambda browser, number=number: f"Take {number} ({HTML}.mp4)" in seen(browser, "section.traits").text
        )
    browser.execute_script("document.querySelector('.seek').click()")
    assert f"dan {HTML}: " in seen(browser, "section.moment").text
    assert f"Take 2: {HTML}.mp4" in seen(browser, "#which").text and f"dan {HTML}" in seen(browser, ".legend").text
    assert not browser.find_elements(By.CSS_SELECTOR, "img[src=x]")


@pytest.mark.parametrize("width", [400, 700])  # of a phone, and of 1400 pixels at 200 %
def test_nothing_is_wider_than_the_window(opened_page, folder, width):
    browser = opened_page
    clip = make_clip(folder / f"{'long_name_' * 9}.mp4", range(20, 220, 2))
    for number in (1, 2):
        browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(clip))
        WebDriverWait(browser, 60, ignored_exceptions=[Exception]).until(
            lambda browser, number=number: f"Take {number}" in seen(browser, "section.traits").text
        )
    widen(browser, width)
    browser.execute_script("document.querySelector('.seek').click()")
    seen(browser, "section.moment")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_clips_go_when_the_page_is_closed(opened_page, page, folder):
    browser = opened_page
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(make_clip(folder / "clip.mp4", [90] * 50)))
    seen(browser, "#downloads a")
    assert page.clips
    browser.get("about:blank")
    wait_until(lambda: not page.clips)
