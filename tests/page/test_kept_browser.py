"""Takes kept by choice, in a real browser."""

import pytest
from conftest import make_clip
from pages import opened, wait_until
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from test_browser import browser, seen, widen  # noqa: F401, a fixture that takes the `page` of this file

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("page"), "--KEEP=kept") as page:
        yield page


def says(driver, selector, text):
    WebDriverWait(driver, 60, ignored_exceptions=[Exception]).until(lambda it: text in seen(it, selector).text)


def give(driver, clip, number):
    driver.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(clip))
    says(driver, "section.traits", f"Take {number} ({clip.name})")
    seen(driver, "#downloads a")


def test_takes_are_kept_by_choice_and_deleted_one_by_one_or_all(browser, page, folder):  # noqa: F811
    kept, first = page.temporary.parent / "kept", make_clip(folder / "<b>one.mp4", range(20, 220, 2))
    second = make_clip(folder / "two.mp4", range(220, 20, -2))

    def files():
        return sorted(path.suffix for path in kept.iterdir())

    browser.get(page.address)
    says(browser, "#kept", f"No take kept in {kept}")
    choice = seen(browser, "#keep input[type=checkbox]")
    assert not choice.is_selected() and str(kept) in seen(browser, "#keep").text
    give(browser, first, 1)
    assert not kept.exists()

    choice.send_keys(Keys.SPACE)
    give(browser, second, 2)
    says(browser, "#kept", "1 take kept in")
    assert files() == [".json", ".mp4"] and (next(kept.glob("*.mp4"))).read_bytes() == second.read_bytes()
    give(browser, first, 3)
    says(browser, "#kept", "2 takes kept in")
    assert "<b>one.mp4" in seen(browser, "#kept ul").text and "Guessed" in seen(browser, "#kept").text
    (kept / "notes.txt").write_text("mine")
    choice.send_keys(Keys.SPACE)
    give(browser, second, 4)

    browser.switch_to.new_window("tab")  # another visitor of this machine: the folder is of all of them
    browser.get(page.address)
    says(browser, "#kept", "2 takes kept in")
    assert "1 other file there, neither read nor deleted here" in seen(browser, "#kept").text
    assert not seen(browser, "#keep input[type=checkbox]").is_selected()
    widen(browser, 390)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    names = [each.get_attribute("aria-label") for each in browser.find_elements(By.CSS_SELECTOR, "#kept .lines")]
    assert any(name.startswith("Brightness %, take by take: ") for name in names)
    seen(browser, "[data-play]").send_keys(Keys.ENTER)  # the newest one
    WebDriverWait(browser, 20).until(lambda it: seen(it, "#kept video").get_property("videoWidth") == 64)
    assert browser.switch_to.active_element.text == "Play"
    (copy,) = [path for path in page.clips if path.name.startswith("take-0.")]
    assert copy.read_bytes() == first.read_bytes()
    button = browser.find_elements(By.CSS_SELECTOR, "[data-take]")[1]
    assert button.accessible_name.startswith("Delete the take of ")
    button.send_keys(Keys.ENTER)
    says(browser, "#kept", "1 take kept in")
    assert files() == [".json", ".mp4", ".txt"] and (next(kept.glob("*.mp4"))).read_bytes() == first.read_bytes()
    wait_until(lambda: browser.switch_to.active_element.get_attribute("data-take"))
    assert not copy.exists() and not browser.find_elements(By.CSS_SELECTOR, "#kept video")

    for answer in ("dismiss", "accept"):
        assert len(files()) == 3
        seen(browser, "[data-all]").send_keys(Keys.ENTER)
        WebDriverWait(browser, 20).until(lambda it: it.switch_to.alert)
        getattr(browser.switch_to.alert, answer)()
    says(browser, "#kept", "No take kept in")
    assert [path.name for path in kept.iterdir()] == ["notes.txt"]
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
