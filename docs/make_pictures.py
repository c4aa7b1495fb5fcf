"""Pictures of the README, from a real run: before and after, the report, the server's page.

    python docs/make_pictures.py RUN        # a run folder, such as that of `tagfit demo -o RUN`

Needs Chromium, and the extra `serve`.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tagfit.data.postcards.album import draw

IMG = Path(__file__).parent / "img"


@contextmanager
def server(run):
    """The address of `tagfit serve RUN`, while it serves."""
    command = [sys.executable, "-m", "tagfit", "serve", str(run), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if found := re.search(r"http://[\d.:]+", line):
                yield found[0]
                break
    finally:
        process.terminate()
        process.wait()


def photos(folder, count):
    """Postcards that the run has not seen."""
    files = [folder / f"postcard-{number}.png" for number in range(count)]
    for file, pixels in zip(files, draw(90_000, 90_000 + count)[0], strict=True):
        Image.fromarray(pixels).resize((256, 256), Image.Resampling.NEAREST).save(file)
    return files


def main():
    run = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tagfit", "report", str(run), "--figures", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.copy(Path(folder, "before-and-after.svg"), IMG / "before-after.svg")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 760})
        page.goto((run / "report.html").resolve().as_uri())
        page.screenshot(path=IMG / "report.png")
        with server(run) as address:
            urllib.request.urlopen(f"{address}/healthz").read()
            page.goto(address)
            page.locator("input[type=file]").set_input_files(photos(Path(folder), 3))
            page.locator(".given span").first.wait_for()
            page.wait_for_timeout(3000)  # until all of them have their labels
            page.screenshot(path=IMG / "serve.png")
        browser.close()
    for picture in IMG.glob("*.png"):
        Image.open(picture).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(picture, optimize=True)


if __name__ == "__main__":
    main()
