"""Review 20,000 images in Chromium: how soon is the page there, how soon the next image, and how much memory is it?

    python benchmarks/review_scale.py [DATA] [--keys 60] [--record]

Starts `tagfit review`, opens its page, moves by keys, decides, turns pages and searches. Needs Chromium. Times are the
page's own, from key to pixels (the frame after the image was decoded); memory is the server's peak, training included.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

#: what the scripts below share: the images that are on screen, and a key that is pressed
SHARED = """
    const grid = document.getElementById('grid');
    const inView = (one) => one.getBoundingClientRect().top < innerHeight;
    const onScreen = () => [...grid.querySelectorAll('img')].filter(inView);
    const loaded = () => onScreen().length > 0 && onScreen().every((one) => one.complete && one.naturalWidth);
    const until = (test) => new Promise((resolve) => {
        const look = () => (test() ? resolve() : requestAnimationFrame(look));
        look();
    });
    const press = (key) => grid.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
"""

GRID = f"async () => {{ {SHARED} await until(loaded); return performance.now(); }}"

PRESS = f"""
async (key) => {{
    {SHARED}
    const begun = performance.now();
    press(key);
    await Promise.all([document.getElementById('image'), ...onScreen()].map((one) => one.decode().catch(() => {{}})));
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    return performance.now() - begun;
}}
"""

TURN = f"""
async (key) => {{
    {SHARED}
    const begun = performance.now();
    const place = document.getElementById('place');
    const was = place.textContent;
    press(key);
    await until(() => place.textContent !== was && loaded());
    return performance.now() - begun;
}}
"""


def started(data, folder):
    """The process, its address, and the seconds until it serves."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "tagfit", "review", data, "--port", "0", "-o", str(folder / "corrections.jsonl")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if found := re.search(r"http://\S+", line):
            return process, found[0], time.monotonic() - begun
    raise SystemExit(f"tagfit review ended with {process.wait()}")


def peak(process):
    """Megabytes of memory that the process had at most."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024


def quantiles(times):
    ordered = sorted(times)
    late = ordered[int(0.95 * (len(ordered) - 1))]
    return f"median {median(ordered):.0f} ms, 95% {late:.0f} ms, most {ordered[-1]:.0f} ms"


def measured(url, keys):
    """What is to be said, a line each."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        opens = []
        for _ in range(3):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(url)
            whole = page.evaluate(GRID)
            paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            opens.append((paint, whole))
        yield "first paint     " + ", ".join(f"{paint:.0f} ms" for paint, _ in opens)
        yield "all images seen " + ", ".join(f"{whole:.0f} ms" for _, whole in opens)
        moves = [page.evaluate(PRESS, "ArrowRight") for _ in range(keys)]
        yield f"next image      {quantiles(moves)} ({keys} keys)"
        done = [page.evaluate(PRESS, "Enter") for _ in range(keys)]
        yield f"done and next   {quantiles(done)} ({keys} keys, each decision synced to disk)"
        turns = [page.evaluate(TURN, "PageDown") for _ in range(10)]
        yield f"next page       {quantiles(turns)} (60 images each, not seen before)"
        page.click("[data-queue=all]")
        page.wait_for_function("() => document.getElementById('place').textContent.endsWith('20,000')")
        page.keyboard.press("/")
        page.keyboard.type("19999")
        begun = time.monotonic()
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.getElementById('place').textContent.endsWith('of 1')")
        yield f"search by name  {1000 * (time.monotonic() - begun):.0f} ms"
        browser.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", default="postcards:20000")
    parser.add_argument("--keys", type=int, default=60)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        process, url, seconds = started(given.data, Path(folder))
        try:
            lines = [f"{given.data}: served after {seconds:.0f} s, training included", *measured(url, given.keys)]
            lines.append(f"memory          {peak(process):,.0f} MB at most")
        finally:
            process.terminate()
            process.wait()
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if given.record:
        record = Path(__file__).parent / "records" / f"{date.today()}-review-scale.txt"
        machine = f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        head = f"$ python benchmarks/review_scale.py {given.data} --keys {given.keys}\n{machine}\n"
        record.write_text(head + text, encoding="utf-8")


if __name__ == "__main__":
    main()
