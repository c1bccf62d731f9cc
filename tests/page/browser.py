"""A headless Chromium that looks at the page: clicks and keys as a person's, screens of any size,
dark or light, and what the browser complained of."""

import shutil
import tempfile
import time

import pytest

from lib.peers import eventually

webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium is not installed")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

__all__ = ["Browser", "Keys", "missing"]

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--no-proxy-server", "--disable-extensions", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--lang=en", "--window-size=1440,1000",
)
SLOW = 20  # seconds that a page on a busy machine may take

missing = None if CHROMIUM and DRIVER else "chromium or chromedriver is not installed"


class Browser:
    """One window. The selectors are CSS; every wait is bounded."""

    def __init__(self):
        self._profile = tempfile.mkdtemp(prefix="finback-chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (*ARGUMENTS, f"--user-data-dir={self._profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        try:
            self.driver = webdriver.Chrome(service=Service(executable_path=DRIVER),
                                           options=options)
        except BaseException:
            shutil.rmtree(self._profile, ignore_errors=True)
            raise
        self.driver.set_script_timeout(SLOW)
        self.driver.set_page_load_timeout(SLOW)

    def close(self):
        try:
            self.driver.quit()
        finally:
            shutil.rmtree(self._profile, ignore_errors=True)

    def fresh(self):
        """As new, for the next test: no page, no emulation, no complaints."""
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
        self.complaints()

    # How it looks.

    def open(self, url):
        self.driver.get(url)

    def screen(self, width, height, is_phone=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone})

    def prefer(self, **features):
        """prefer(color_scheme="dark", reduced_motion="reduce")."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [
            {"name": "prefers-" + name.replace("_", "-"), "value": value}
            for name, value in features.items()]})

    def shoot(self, path):
        self.driver.save_screenshot(path)

    # What is there.

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        """The texts of all that match, at one instant."""
        return self.script(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)",
            selector)

    def text(self, selector):
        return "".join(self.texts(selector)[:1])

    def is_shown(self, selector):
        found = self.all(selector)
        return bool(found) and found[0].is_displayed()

    def wait_text(self, selector, part, within=SLOW):
        """Until the first that matches says `part`; returns all it says."""
        self.wait(lambda: part in self.text(selector), f"{part!r} in {selector}", within)
        return self.text(selector)

    def wait_shown(self, selector, is_shown=True):
        self.wait(lambda: self.is_shown(selector) == is_shown, f"{selector} shown: {is_shown}")

    @staticmethod
    def wait(condition, what, within=SLOW):
        return eventually(condition, what, within)

    # What a person does.

    def click(self, selector):
        element = self.one(selector)
        self.script("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })",
                    element)
        element.click()

    def type(self, selector, *keys):
        self.one(selector).send_keys(*keys)

    def press(self, *keys):
        """Keys for whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def hover(self, element):
        """The pointer goes to the middle of it."""
        ActionChains(self.driver).move_to_element(element).perform()

    @staticmethod
    def sleep(seconds):
        """For what must not happen."""
        time.sleep(seconds)

    def choose(self, selector, value):
        self.click(f"{selector} option[value='{value}']")

    def focused(self):
        """The text or label of what has the focus."""
        return self.script("const one = document.activeElement;"
                           "return one.getAttribute('aria-label') ?? one.textContent")

    # What was wrong.

    def complaints(self):
        """What the browser said on its console since the last call, without what a daemon that is
        away, or a session that is over, makes it say."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if "Failed to load resource" not in entry["message"]]

    def overflow(self):
        """How many pixels the page is wider than the window."""
        return self.script("const root = document.documentElement;"
                           "return root.scrollWidth - root.clientWidth")
