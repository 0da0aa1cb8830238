"""A real browser for tests: Debian's chromium without a window, asked by its DevTools protocol."""

import contextlib
import json
import re
import subprocess
import time
import urllib.request

WAIT = 30  # s


@contextlib.contextmanager
def started(profile):
    """A chromium that keeps its files in a folder; yields the address of its empty page."""
    options = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --remote-debugging-port=0"
    )
    argv = ["chromium", *options.split(), "--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8")
    try:
        port = next(
            found[1] for line in process.stderr if (found := re.search(r"listening on ws://[^:]+:(\d+)/", line))
        )
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=WAIT) as answer:
            pages = [target for target in json.load(answer) if target["type"] == "page"]
        yield pages[0]["webSocketDebuggerUrl"]
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


class Tab:
    """A page of the browser: `open` a file, `ask` it in JavaScript; dialogs are noted, and requests that leave it."""

    def __init__(self, address):
        import websocket

        self.socket = websocket.create_connection(address, timeout=WAIT)
        self.number, self.requests, self.asked, self.dialogs, self.loaded = 0, [], {}, [], False
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        """What the browser answers to a command."""
        self.number += 1
        self.socket.send(json.dumps(dict(id=self.number, method=method, params=params)))
        while (message := json.loads(self.socket.recv())).get("id") != self.number:
            self.note(message)
        assert "error" not in message, message
        return message["result"]

    def note(self, message):
        if message["method"] == "Network.requestWillBeSent":
            self.asked[message["params"]["requestId"]] = message["params"]["request"]["url"]
            self.requests.append(message["params"]["request"]["url"])
        elif message["method"] == "Network.loadingFailed" and "blockedReason" in message["params"]:
            self.requests.remove(self.asked[message["params"]["requestId"]])  # the page forbade it: it never left
        elif message["method"] == "Page.javascriptDialogOpening":
            self.dialogs.append(message["params"]["message"])
        elif message["method"] == "Page.loadEventFired":
            self.loaded = True

    def open(self, path, width=1200, scheme="light", media=""):
        """Show a file in a window of some width, in a colour scheme, on the screen or as printed."""
        self.requests, self.dialogs, self.loaded = [], [], False
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        features = [dict(name="prefers-color-scheme", value=scheme)]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.call("Page.navigate", url=path.as_uri())
        end = time.monotonic() + WAIT
        while not self.loaded and time.monotonic() < end:
            self.note(json.loads(self.socket.recv()))
        return self

    def ask(self, expression):
        """The value of a JavaScript expression, or of the promise that it makes."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")
