"""A headless Chromium, driven over the WebDriver protocol (W3C WebDriver) with nothing but the standard library."""

import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--window-size=1200,900"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing():
    """Which programs are not there, or nothing."""
    return [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="slipway-chromium-")
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            if "on port" in line and "successfully" in line:
                self.base = "http://127.0.0.1:" + "".join(c for c in line.rsplit("port", 1)[1] if c.isdigit())
                break
        options = {"args": [*FLAGS, f"--user-data-dir={self.profile}"], "binary": shutil.which("chromium")}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        self.session = ""
        self.session = "/session/" + self.call("POST", "/session", wanted)["sessionId"]

    def call(self, method, path, body=None):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + self.session + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as e:
            raise AssertionError(json.load(e)["value"]["message"].splitlines()[0]) from None

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def url(self):
        return self.call("GET", "/url")

    def run(self, script, *arguments):
        """The value that a script returns in the page."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def shown(self, selector):
        """Waits until the page's scripts have made it visible: they run after the page counts as loaded."""
        self.wait(f"const e = document.querySelector('{selector}'); return e !== null && e.getClientRects().length > 0")

    def type(self, selector, text):
        self.shown(selector)
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def click(self, selector):
        self.shown(selector)
        self.call("POST", f"/element/{self.find(selector)}/click")

    def wait(self, script, seconds=60):
        """What `script` returns, once that is true."""
        end = time.monotonic() + seconds
        while True:
            value = self.run(script)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {script}")
            time.sleep(0.2)

    def open_until(self, url, script, seconds=60, times=3):
        """Opens a page until `script` says that it is there. On a busy machine the classic notebook's loader gives up on scripts that come
        too late, and shows a page without them: whoever sits before it reloads."""
        for left in range(times - 1, -1, -1):
            self.open(url)
            try:
                return self.wait(script, seconds)
            except AssertionError:
                if left == 0:
                    raise

    def screenshot(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(timeout=20)
            self.driver.stdout.close()
            shutil.rmtree(self.profile, ignore_errors=True)
