"""Does a request leave this computer? Conversion, command line, page and browser, where there is no network at all.

    python benchmarks/page_no_network.py [--checkpoint FOLDER]

Everything runs in a network namespace whose one device is the loopback. What nevertheless tried to leave is counted:
names that Python looked up and addresses that it connected to (an audit hook), requests of the page (the browser's
log), violations of its Content-Security-Policy. Linux, unshare, playwright and Chromium are needed. The exit code is 1
where anything tried.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUESTIONS = ("你好", "54加42等于多少？")
WAIT_MS = 60_000
# belle-edge, with every name that is looked up and every address that is connected to written to a file
AUDITED = """\
import json, os, sys
log = open(os.environ["BELLE_AUDIT"], "a", buffering=1)
def hear(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto"):
        place = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        log.write(json.dumps([event, repr(place)]) + "\\n")
sys.addaudithook(hear)
from belle_edge.cli.main import main
sys.exit(main())
"""
VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled one")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        flags = "-n" if os.geteuid() == 0 else "-rn"
        os.execvp("unshare", ["unshare", flags, sys.executable, *sys.argv, "--inside"])
    raise_loopback()
    if (way := way_out()) is not None:
        raise SystemExit(f"[page_no_network] there is a way out, so this would show nothing: {way}")
    with tempfile.TemporaryDirectory() as folder:
        return report(run(Path(folder), arguments.checkpoint))


def raise_loopback() -> None:
    """As `ip link set lo up`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh", b"lo", 0x1 | 0x40)  # up, running
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def way_out() -> str | None:
    """A device beside the loopback, or an address that can be reached."""
    devices = [name for _, name in socket.if_nameindex() if name != "lo"]
    routes = Path("/proc/self/net/route").read_text(encoding="ascii").splitlines()[1:]
    if routes:
        return f"devices {devices}, routes {routes}"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        return None if probe.connect_ex(("192.0.2.1", 80)) != 0 else "192.0.2.1 answers"


def run(folder: Path, checkpoint: Path | None) -> dict[str, object]:
    """Convert, ask by the command line, chat in the page; what was asked of the network meanwhile."""
    family = []
    if checkpoint is None:
        from belle_edge.demo import checkpoint_path

        checkpoint, family = checkpoint_path(), ["--family", "belle"]
    audit = folder / "audit"
    os.environ |= {"BELLE_AUDIT": str(audit), "BELLE_DATA": str(folder / "data"), "BELLE_CACHE": str(folder)}
    model = folder / "model.gguf"
    belle = [sys.executable, "-c", AUDITED]
    subprocess.run([*belle, "convert", str(checkpoint), *family, "-o", str(model), "-q"], check=True)
    subprocess.run(
        [*belle, "generate", str(model), QUESTIONS[0], "-q"], check=True, stdout=subprocess.DEVNULL
    )
    with served([*belle, "serve", str(model), "--port", "0"]) as address:
        found = chat(address)
    found["places"] = places(audit)
    return found


@contextmanager
def served(command: list[str]) -> Iterator[str]:
    """The address of a server that runs."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "listening on " not in line:
            raise SystemExit(f"[page_no_network] the server did not start: {line!r}")
        yield line.split("listening on ")[1].strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def chat(address: str) -> dict[str, object]:
    """What a browser asked for while a person chats, reloads, looks at settings and exports."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        context = browser.new_context(locale="zh-CN")
        context.add_init_script(VIOLATIONS)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        page.wait_for_selector("body[data-ready]", timeout=WAIT_MS)
        for n, question in enumerate(QUESTIONS, 1):
            page.locator("#text").fill(question)
            page.keyboard.press("Enter")
            page.wait_for_function(
                "n => document.querySelectorAll('.message.assistant:not([data-state=writing]) .prose').length >= n",
                arg=n,
                timeout=WAIT_MS,
            )
        page.reload()
        page.wait_for_selector(".message.assistant .prose", timeout=WAIT_MS)
        page.locator("#settings").click()
        page.wait_for_selector("dialog[open]")
        time.sleep(0.5)  # what a page would send behind its person's back, it may send now
        answers = page.locator(".message.assistant .prose").all_inner_texts()
        violations = page.evaluate("window.violations")
        browser.close()
    return {"address": address, "requests": requests, "answers": answers, "violations": violations}


def places(audit: Path) -> list[str]:
    """Names and addresses that are not this computer's."""
    lines = [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]
    own = ("127.0.0.1", "::1", "localhost", "/")
    return [f"{event} {place}" for event, place in lines if not any(name in place for name in own)]


def report(found: dict[str, object]) -> int:
    address, requests = str(found["address"]), found["requests"]
    assert isinstance(requests, list)
    away = [url for url in requests if urlsplit(url).netloc != urlsplit(address).netloc]
    kinds = Counter("/".join(urlsplit(url).path.split("/")[:3]) for url in requests if url not in away)
    print(f"answers in the page: {found['answers']}")
    print(f"requests of the browser to {address}: {sum(kinds.values())}")
    for kind, n in kinds.most_common():
        print(f"  {n:4} {kind}")
    print(f"requests of the browser to anywhere else: {len(away)} {away or ''}")
    print(f"violations of the page's policy: {found['violations']}")
    print(f"names and addresses beyond this computer that Python asked for: {found['places']}")
    return int(bool(away or found["violations"] or found["places"] or not found["answers"]))


if __name__ == "__main__":
    sys.exit(main())
