"""A headless Chromium, driven over the pipe of the DevTools protocol by the standard library.

Reference:
    https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Chromium reads commands from file 3 and answers into file 4. A small process of its own puts them
# there: doing so between fork and exec is not safe in a process with threads.
_PIPES = """
import os, sys
read, write = os.dup(int(sys.argv[1])), os.dup(int(sys.argv[2]))
high = [os.dup2(fd, 60 + i) for i, fd in enumerate((read, write))]
os.dup2(high[0], 3); os.dup2(high[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find():
    """The browser's path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    def __init__(self, folder, timeout=60):
        self.timeout = timeout
        read, self._out = os.pipe()
        self._in, write = os.pipe()
        words = [
            find(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={folder}",
            "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
            "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND", "about:blank",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PIPES, str(read), str(write), *words],
            pass_fds=(read, write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read), os.close(write)
        self._buffer, self._number, self.events = b"", 0, []

    def send(self, method, session=None, **parameters):
        """Sends a command and answers its result; events that come first are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + self.timeout
        while True:
            answer = self._next(end)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _next(self, end):
        while b"\0" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError("Chromium does not answer")
            more = os.read(self._in, 1 << 20)
            if not more:
                raise RuntimeError(f"Chromium has gone: exit code {self.process.wait()}")
            self._buffer += more
        line, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(line)

    def close(self):
        try:
            self.send("Browser.close")
            self.process.wait(10)
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self._out), os.close(self._in)


class Page:
    """One page: what it says on the console, what it requests, and hands to move its sliders."""

    def __init__(self, browser, url, width=1280, height=900, mobile=False):
        self.browser = browser
        target = browser.send("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.send("Target.attachToTarget", targetId=target, flatten=True)
        self.target, self.session = target, attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.resize(width, height, mobile)
        self.send("Page.navigate", url=url)
        self.wait("document.body && document.body.dataset.ready === 'true'")

    def send(self, method, **parameters):
        return self.browser.send(method, self.session, **parameters)

    def resize(self, width, height=900, mobile=False):
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=mobile,
        )  # fmt: skip

    def run(self, code):
        """The value of an expression in the page; a promise is waited for."""
        answer = self.send(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition}; the page says: {self.complaints()}")
            time.sleep(0.05)

    def settle(self):
        """Waits until what has changed is drawn."""
        frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        self.run(f"{frame}.then(() => true)")

    def mine(self, method):
        events = self.browser.events
        return [
            e["params"]
            for e in events
            if e["method"] == method and e.get("sessionId") == self.session
        ]

    def complaints(self):
        """Errors and warnings of the console, and exceptions."""
        self.run("1")
        said = [e for e in self.mine("Runtime.consoleAPICalled") if e["type"] != "log"]
        logged = [e["entry"] for e in self.mine("Log.entryAdded")]
        return said + logged + self.mine("Runtime.exceptionThrown")

    def requests(self):
        """Addresses that were asked for; those inside the page left out."""
        self.run("1")
        urls = [e["request"]["url"] for e in self.mine("Network.requestWillBeSent")]
        return [url for url in urls if not url.startswith("data:")]

    def box(self, selector):
        """Left, top, width and height of an element, scrolled into view."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{element}.scrollIntoView({{block: 'center'}})")
        self.settle()
        return self.run(
            f"(() => {{ const b = {element}.getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]; })()"
        )

    def drag(self, begin, end, steps=4):
        self._mouse("mousePressed", begin)
        for i in range(1, steps + 1):
            between = [a + (b - a) * i / steps for a, b in zip(begin, end, strict=True)]
            self._mouse("mouseMoved", between)
        self._mouse("mouseReleased", end)
        self.settle()

    def _mouse(self, kind, place):
        self.send(
            "Input.dispatchMouseEvent",
            type=kind, x=place[0], y=place[1], button="left", buttons=1, clickCount=1,
        )  # fmt: skip

    def press(self, key, code, times=1):
        for kind in ("rawKeyDown", "keyUp") * times:
            self.send(
                "Input.dispatchKeyEvent",
                type=kind, key=key, code=key, windowsVirtualKeyCode=code,
            )  # fmt: skip
        self.settle()

    def screenshot(self, path, whole=True):
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def close(self):
        self.browser.send("Target.closeTarget", targetId=self.target)
