"""The system's Chromium, without a window, and what it complains about."""

import json
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PROGRAMS = ("chromium", "chromedriver")
missing = [program for program in PROGRAMS if not shutil.which(program)]
axe = Path(sys.prefix) / "axe/node_modules/axe-core/axe.min.js"
"""Where script/setup.sh puts axe-core, if it can be had."""
SERIOUS = ("serious", "critical")


class Browser:
    """`driver` is Selenium's. Elements are found by a CSS selector."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url):
        self.driver.get(url)

    def open_until(self, url, selector, seconds=60):
        """Open a page again and again until it has such an element: sooner than it refreshes itself."""
        until = WebDriverWait(self.driver, seconds, 0.1).until
        until(lambda driver: driver.get(url) or driver.find_elements(By.CSS_SELECTOR, selector))

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def type(self, selector, text):
        self.driver.find_element(By.CSS_SELECTOR, selector).send_keys(text)

    def click(self, selector):
        """By a script, because a page that refreshes itself may replace what a pointer is on its way to."""
        self.wait(f"document.querySelector({json.dumps(selector)})")
        self.driver.execute_script(f"document.querySelector({json.dumps(selector)}).click()")

    def wait(self, condition, seconds=60):
        """Until a JavaScript expression is true."""
        WebDriverWait(self.driver, seconds, 0.1).until(lambda driver: driver.execute_script(f"return !!({condition})"))

    def wait_for(self, text, seconds=60):
        """Until the page says so."""
        self.wait(f"document.body.innerText.includes({json.dumps(text)})", seconds)

    def resize(self, width, height=1000):
        """The size that the page has; whether it needs no more width."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        needed, had = self.driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        return had == width and needed <= had

    def theme(self, name):
        """light or dark, as the operating system would ask for it."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def complaints(self):
        """What the browser logged since this was last asked: violations of the policy, errors of scripts, what failed
        to load. There is no icon, and it asks for one."""
        return [entry["message"] for entry in self.driver.get_log("browser") if "favicon.ico" not in entry["message"]]

    def faults(self):
        """What axe-core finds serious: rule and places."""
        self.driver.execute_script(axe.read_text())
        found = self.driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
        return [
            (fault["id"], [node["target"] for node in fault["nodes"]])
            for fault in found["violations"]
            if fault["impact"] in SERIOUS
        ]


@contextmanager
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "window-size=1400,1000"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(60)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
