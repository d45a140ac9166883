#!/usr/bin/env python3
"""Drives headless Chromium over a pipe, by the DevTools protocol.

    browser.py CHROMIUM FOLDER

Commands come on standard input, one a line, and each is answered by one line of JSON:

    open URL            goes there and waits until it is loaded
    size WIDTH HEIGHT   of the window
    scheme light|dark   what prefers-color-scheme says
    scripts on|off      whether JavaScript runs, from the next page on
    eval EXPRESSION     the expression's value (a promise's, when it is settled)
    wait EXPRESSION     the same, as soon as it is true; null when it has not been for 20 s
    faults              what the page complained of since the last time: exceptions, refusals of the
                        content security policy, failed loads
    picture FILE        what is seen of the whole page, as PNG
"""
import base64
import json
import os
import signal
import subprocess
import sys
import time


class Browser:
    def __init__(self, program, folder):
        to_child, self.to = os.pipe()
        self.from_, from_child = os.pipe()

        def place():  # Chromium reads commands at 3 and writes answers to 4
            read, write = os.dup(to_child), os.dup(from_child)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars", "--no-first-run", "--disable-extensions", "--disable-background-networking",
             f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_child)
        os.close(from_child)
        self.number, self.buffer, self.faults, self.loaded, self.session = 0, b"", [], False, None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Network.setCacheDisabled", cacheDisabled=True)

    def message(self):
        while b"\0" not in self.buffer:
            data = os.read(self.from_, 1 << 16)
            if not data:
                sys.exit("Chromium has ended")
            self.buffer += data
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def event(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.faults.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.faults.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        elif method == "Runtime.consoleAPICalled":
            self.faults.append(json.dumps(params["args"]))

    def call(self, method, **params):
        self.number += 1
        command = {"id": self.number, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.to, json.dumps(command).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.event(message)

    def open(self, url):
        self.loaded = False
        self.call("Page.navigate", url=url)
        while not self.loaded:
            self.event(self.message())

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def wait(self, expression):
        end = time.monotonic() + 20 * int(os.environ.get("KEYFENCE_PATIENCE", "1"))
        while time.monotonic() < end:
            value = self.evaluate(expression)
            if value:
                return value
            time.sleep(0.1)
        return None

    def run(self, line):
        command, _, rest = line.partition(" ")
        if command == "open":
            return self.open(rest)
        if command == "size":
            width, height = map(int, rest.split())
            return self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                             deviceScaleFactor=1, mobile=False)
        if command == "scheme":
            return self.call("Emulation.setEmulatedMedia",
                             features=[{"name": "prefers-color-scheme", "value": rest}])
        if command == "scripts":
            return self.call("Emulation.setScriptExecutionDisabled", value=rest == "off")
        if command == "eval":
            return self.evaluate(rest)
        if command == "wait":
            return self.wait(rest)
        if command == "faults":
            self.evaluate("0")  # what has happened is told before this
            faults, self.faults = self.faults, []
            return faults
        if command == "picture":
            picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
            with open(rest, "wb") as file:
                file.write(base64.b64decode(picture))
            return None
        raise ValueError("no command " + command)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    browser = Browser(*sys.argv[1:3])
    try:
        for line in sys.stdin:
            print(json.dumps(browser.run(line.rstrip("\n"))), flush=True)
    finally:
        browser.session = None
        try:  # it takes its children along
            os.write(browser.to, b'{"id":0,"method":"Browser.close"}\0')
            browser.process.wait(10)
        finally:
            browser.process.kill()
            browser.process.wait()


main()
