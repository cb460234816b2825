"""The page in a real browser, whose camera and microphone are fed from files."""

import contextlib
import json
import re
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


def widen(browser, width, height=900):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
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

    seek, middle = seen(browser, ".seek"), seen(browser, "section.moment").text
    assert middle.startswith("What moved the guess of extraversion at ")
    quarter = -round(seek.size["width"] / 4)  # from the centre
    webdriver.ActionChains(browser).move_to_element_with_offset(seek, quarter, 0).click().perform()
    WebDriverWait(browser, 20, ignored_exceptions=[Exception]).until(
        lambda browser: seen(browser, "section.moment").text != middle
    )
    assert seen(browser, "#player video").get_property("currentTime") == pytest.approx(told["end"] / 4, abs=0.1)
    assert seen(browser, ".head").is_displayed()

    seen(browser, ".course input[type=range]").send_keys(Keys.HOME)
    WebDriverWait(browser, 20).until(lambda browser: "at 0.0 s" in seen(browser, "section.moment").text)
    assert seen(browser, "#player video").get_property("currentTime") == 0
    browser.find_element(By.CSS_SELECTOR, "#trait input[value=openness]").send_keys(Keys.SPACE)
    WebDriverWait(browser, 20).until(lambda browser: "guess of openness" in seen(browser, "section.moment").text)

    record(browser)
    beside = seen(browser, "section.beside").text
    assert beside.startswith("From Take 1 (recording.webm) to Take 2 (recording.webm)")
    assert beside.count("moves by itself (") == 5
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
    assert "Take 1 (clip.mp4)" in seen(browser, "section.traits").text
    assert not browser.find_elements(By.CSS_SELECTOR, "[role=alert]")


def test_names_of_clips_and_runs_are_text_on_the_page(opened_page, folder):
    browser = opened_page
    chosen = browser.find_element(By.CSS_SELECTOR, "input[type=file]")
    (folder / f"{HTML}.mp4").write_bytes(b"no clip at all")
    chosen.send_keys(str(folder / f"{HTML}.mp4"))
    assert f"{HTML}.mp4 cannot be used" in seen(browser, "[role=alert]").text
    make_clip(folder / f"{HTML}.mp4", range(20, 220, 2))
    for number in (1, 2):
        chosen.send_keys(str(folder / f"{HTML}.mp4"))
        WebDriverWait(browser, 60, ignored_exceptions=[Exception]).until(
            lambda browser, number=number: f"Take {number} ({HTML}.mp4)" in seen(browser, "section.traits").text
        )
    browser.execute_script("document.querySelector('.seek').click()")
    assert f"dan {HTML}: " in seen(browser, "section.moment").text
    assert f"Take 1: {HTML}.mp4" in seen(browser, "#which").text
    assert f"dan {HTML}" in seen(browser, "section.beside").text
    assert not browser.find_elements(By.CSS_SELECTOR, "img[src=x]")


def give(browser, clip, take):
    """Choose a clip, and wait until the take of that number is shown with its moment and its downloads."""
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(clip))
    WebDriverWait(browser, 60, ignored_exceptions=[Exception]).until(
        lambda browser: f"Take {take} ({clip.name})" in seen(browser, "section.traits").text
    )
    seen(browser, "#downloads a")


def test_while_a_clip_is_answered_the_one_before_is_gone_and_the_bar_covers_nothing(opened_page, folder):
    browser = opened_page
    give(browser, make_clip(folder / "first.mp4", [90] * 50), 1)
    long = make_clip(folder / "long.mp4", [90] * 400, rate=5)
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(long))
    WebDriverWait(browser, 20).until(lambda browser: not browser.find_elements(By.CSS_SELECTOR, "#player video"))
    told = set()

    def over(browser):
        text, shown, is_there = browser.execute_script(
            """const all = (selector) => [...document.querySelectorAll(selector)];
            const parts = all("#answer, #beside, #course, #moment, #player").map((part) => part.innerText.trim());
            const bar = all("#waiting .progress-level").map((level) => level.innerText);
            return [bar.join(), parts.join(""), all("section.traits").length > 0];"""
        )
        if text and not is_there:
            told.add(text)
            assert not shown
        return is_there

    WebDriverWait(browser, 60, 0.05).until(over)
    assert told and all(text.startswith("long.mp4: ") for text in told)
    # with the time left, or on a busy machine that it takes longer than the clip before
    assert any(re.search(r"asking the models [(]part \d of 6[)], (about|longer)", text) for text in told)
    assert "Take 2 (long.mp4)" in seen(browser, "section.traits").text
    assert not browser.find_element(By.ID, "waiting").is_displayed()


def test_frames_stand_for_a_clip_that_the_browser_cannot_play(opened_page, folder):
    browser = opened_page
    make_clip(folder / "clip.mp4", range(20, 220, 2))
    command = [
        FFMPEG,
        "-v",
        "error",
        "-i",
        folder / "clip.mp4",
        "-c:v",
        "mpeg2video",
        "-c:a",
        "mp2",
        folder / "old.avi",
    ]
    subprocess.run(command, check=True)
    give(browser, folder / "old.avi", 1)
    frames = seen(browser, "#player .frames")
    assert len(frames.find_elements(By.TAG_NAME, "img")) == 7 and "cannot play" in seen(browser, "#player").text
    assert not browser.find_element(By.CSS_SELECTOR, "#player video").is_displayed()


def test_on_a_phone_the_first_trait_is_in_sight_after_the_answer(opened_page, folder):
    browser = opened_page
    widen(browser, 390, 844)
    clip = make_clip(folder / "clip.mp4", range(20, 220, 2))
    give(browser, clip, 1)
    places = "return arguments[0].map((part) => document.querySelector(part).getBoundingClientRect())"
    head, trait = browser.execute_script(places, ["#reminder", "section.traits .trait"])
    assert head["top"] == 0 and head["bottom"] < trait["top"] < trait["bottom"] <= 844 and head["height"] < 84
    give(browser, clip, 2)  # what is measured leads, and a trait follows within two screens
    head, row, trait = browser.execute_script(places, ["#reminder", ".beside dl div", ".beside .trait"])
    assert head["bottom"] < row["top"] < row["bottom"] <= 844 and row["bottom"] < trait["top"]
    assert trait["bottom"] <= 2 * 844 and not seen(browser, "#answer details").get_property("open")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(opened_page, folder):
    browser = opened_page
    clip = make_clip(folder / "clip.mp4", range(20, 220, 2))
    seen(browser, "#example")  # there is something to try without a file
    for number in (1, 2):
        give(browser, clip, number)
    browser.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = {}
    for _ in range(40):
        webdriver.ActionChains(browser).send_keys(Keys.TAB).perform()
        name, outlined = browser.execute_script(
            """const e = document.activeElement, on = getComputedStyle(e), around = getComputedStyle(e.parentElement);
            const drawn = (s) => s.outlineStyle !== "none" || s.boxShadow !== "none";
            const part = e.closest("#player, #course, #downloads, #which, #other, #trait")?.id;
            return [e.dataset.part || part || e.localName, drawn(on) || drawn(around)];"""
        )
        if name == "body":
            break
        inside = name == "player" and name in reached  # a button of the browser's own player, which marks it itself
        reached[name] = reached[name] if inside else outlined and reached.get(name, True)
    assert {"record", "file", "player", "course", "downloads", "which", "other", "trait"} <= reached.keys()
    assert all(reached.values()), reached


def test_a_screen_reader_has_a_name_for_everything_that_can_be_used(opened_page, folder):
    browser = opened_page
    for number in (1, 2):
        give(browser, make_clip(folder / "clip.mp4", range(20, 220, 2)), number)
    seen(browser, "section.moment")
    browser.execute_cdp_cmd("Accessibility.enable", {})
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    used = ("button", "slider", "radio", "radiogroup", "link", "Video", "Audio", "image", "heading", "textbox")
    assert not [role for role, name in named if role in used and not name.strip()]
    found = {name for role, name in named if role in ("button", "slider", "Video", "radio")}
    assert {"Record", "Choose a clip", "Take 2", "Moment of the clip, in seconds", "Extraversion"} <= found
    status = [node for node in nodes if node.get("role", {}).get("value") in ("status", "alert")]
    assert status


@pytest.mark.parametrize("width", [400, 700])  # of a phone, and of 1400 pixels at 200 %
def test_nothing_is_wider_than_the_window(opened_page, folder, width):
    browser = opened_page
    clip = make_clip(folder / f"{'long_name_' * 9}.mp4", range(20, 220, 2))
    for number in (1, 2):
        give(browser, clip, number)
    widen(browser, width)
    browser.execute_script("document.querySelector('.seek').click()")
    seen(browser, "section.moment")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_what_if_is_asked_by_the_keyboard_and_fits_a_phone(opened_page, folder):
    browser = opened_page
    clip = make_clip(folder / "clip.mp4", range(20, 220, 2))
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(clip))
    seen(browser, "#downloads a")
    seen(browser, "#ask-what-if").send_keys(Keys.ENTER)
    seen(browser, "table.effects")
    WebDriverWait(browser, 60).until(lambda browser: not browser.find_elements(By.CSS_SELECTOR, "#what-if progress"))
    WebDriverWait(browser, 10).until(
        lambda browser: browser.switch_to.active_element.get_attribute("id") == "ask-what-if"
    )
    rows = [row.text.partition(" by ")[0] for row in browser.find_elements(By.CSS_SELECTOR, "table.effects tbody th")]
    assert rows[:3] == ["by itself", "brighter", "darker"] and len(rows) == 8
    widen(browser, 390)
    table = seen(browser, "table.effects")
    assert table.get_property("scrollWidth") <= table.get_property("clientWidth")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


def test_the_clips_go_when_the_page_is_closed(opened_page, page, folder):
    browser = opened_page
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(make_clip(folder / "clip.mp4", [90] * 50)))
    seen(browser, "#downloads a")
    assert page.clips
    browser.get("about:blank")
    wait_until(lambda: not page.clips)
