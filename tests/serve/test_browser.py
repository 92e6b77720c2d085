"""The page in a real browser: load, predict, draw, undo, save, go on; by mouse, by keyboard, and in two tabs."""

import shutil
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from workbench_files import TOKEN, save_volume, voxels

from neuralizer_jax.files.example_volumes import find_examples
from neuralizer_jax.serve.app import make_app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
SHAPE = (20, 24, 22)
AFFINE = np.diag([-2.0, 2, 2, 1])


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--enable-unsafe-swiftshader"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def folders(folders):
    """Larger scans, in which a stroke changes some voxels and not all."""
    for name in ("a", "b"):
        values = np.random.default_rng(ord(name)).integers(1, 900, SHAPE).astype(np.int16)
        save_volume(folders.targets / f"{name}.nii.gz", values, AFFINE)
    return folders


@pytest.fixture
def address(bench):
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = make_app(bench, token=TOKEN, port=port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{port}/#token={TOKEN}"
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture
def tab(browser, address):
    opened = []

    def new(url=address, **settings):
        page = browser.new_page(viewport={"width": 900, "height": 640}, **settings)
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.goto(url)
        page.evaluate("workbench.ready")
        opened.append(page)
        return page

    yield new
    for page in opened:
        assert page.faults == []
        page.close()


def counts(page):
    return page.evaluate("Array.from(workbench.viewer.counts().slice(0, 4))")


def name(page):
    return page.locator("#title").inner_text()


def drag(page):
    """A stroke in the middle of the axial plane, which alone is shown."""
    page.get_by_role("radio", name="Axial").click()
    box = page.locator("#canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 40, steps=3)
    page.mouse.up()


def said(page, text):
    page.locator("#message-text", has_text=text).wait_for()


def test_predict_draw_save_next(tab, folders):
    page = tab()
    assert name(page) == "a.nii.gz"
    page.get_by_role("button", name="Predict").click()
    said(page, "Done in")
    assert "1 to check" not in page.locator("#structures-note").inner_text()  # two are
    predicted = counts(page)
    assert predicted[1] > 0
    page.get_by_role("button", name="thing", exact=True).click()
    page.get_by_role("radio", name="Draw").click()
    drag(page)
    drawn = counts(page)
    assert drawn[1] > predicted[1]
    page.keyboard.press("Control+z")
    assert counts(page) == predicted
    page.keyboard.press("Control+y")
    assert counts(page) == drawn
    page.keyboard.press("e")
    drag(page)
    assert counts(page)[1] < predicted[1]
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Save as example").click()
    said(page, "3 examples now")
    stored = voxels(folders.context / "labels/a.nii.gz")
    assert [int((stored == 0).sum()), int((stored == 17).sum())] == drawn[:2]
    assert len(find_examples(folders.context).inputs) == 3
    page.keyboard.press("n")
    page.locator("#title", has_text="b.nii.gz").wait_for()
    page.reload()
    page.evaluate("workbench.ready")
    assert name(page) == "b.nii.gz"  # the first that is no example
    assert page.locator("#scans .saved").count() == 3


def test_one_of_many_structures_is_chosen(tab):
    page = tab()
    title = page.locator("#only-title")
    title.click()
    page.get_by_role("button", name="Choose none").click()
    assert title.inner_text() == "0 of 2 structures"
    assert page.get_by_role("button", name="Predict").is_disabled()
    page.get_by_role("checkbox", name="right thing").check()
    assert title.inner_text() == "1 of 2 structures"
    page.get_by_role("button", name="Choose all").click()
    assert title.inner_text() == "all 2 structures"


def test_keyboard_alone(tab, folders):
    """A structure is named, drawn at the cross and saved without a mouse."""
    page = tab()
    page.locator("#new-name").focus()
    page.keyboard.type("my region")
    page.keyboard.press("Enter")
    page.locator("#canvas").focus()
    for key in ("ArrowRight", "PageUp", "Enter", "]", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    place = page.evaluate("workbench.state.chosen") + 1
    assert page.evaluate(f"workbench.viewer.counts()[{place}]") > 25  # 5 x 5, and some of 7 x 7
    page.keyboard.press("s")
    said(page, "Saved")
    assert "\tmy region" in (folders.context / "labels.tsv").read_text()
    # It was looked for in this scan alone, and nothing else was.
    assert '"a.nii.gz": [54]' in (folders.context / "labels.json").read_text()


def test_changes_are_not_lost_without_asking(tab):
    page = tab()
    page.keyboard.press("d")
    drag(page)
    page.keyboard.press("n")
    page.get_by_role("button", name="Stay").click()
    assert name(page) == "a.nii.gz"
    assert counts(page)[1] > 0
    page.keyboard.press("n")
    page.get_by_role("button", name="Discard").click()
    page.locator("#title", has_text="b.nii.gz").wait_for()


def test_two_tabs_and_cancel(tab, folders, jobs):
    """A prediction of one tab waits for that of the other; to cancel one leaves the other alone."""
    shutil.copy(folders.targets / "a.nii.gz", folders.targets / "slow.nii.gz")
    first, second = tab(), tab()
    first.get_by_role("button", name="slow").click()
    first.locator("#title", has_text="slow").wait_for()
    first.keyboard.press("p")
    first.locator("#progress-text", has_text="1 of 2").wait_for()
    second.locator("#progress-text").wait_for(state="hidden")
    second.keyboard.press("p")
    second.locator("#progress-text", has_text="waits for 1 other").wait_for()
    first.get_by_role("button", name="Cancel").click()
    said(first, "Cancelled")
    said(second, "Done in")
    assert counts(second)[1] > 0
    assert not any(counts(first)[1:])
    assert [job.state for job in jobs.all()] == ["cancelled", "done"]


def test_dropped_picture(tab, folders, tmp_path):
    """A PNG: its first row is at the top, and a stroke there is stored in the first rows."""
    for path in folders.context.rglob("*.nii.gz"):
        path.unlink()
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    page = tab()
    page.locator("#file").set_input_files(tmp_path / "p.png")

    page.locator("#title", has_text="p.png").wait_for()
    assert page.locator("#predict").is_disabled()
    page.locator("#new-name").fill("spot")
    page.keyboard.press("Enter")
    box = page.locator("#canvas").bounding_box()
    height = box["width"] * 30 / 40
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + (box["height"] - height) / 2 + height * 0.2)
    time.sleep(0.1)
    page.keyboard.press("s")
    said(page, "Saved")
    rows = np.flatnonzero(np.asarray(Image.open(folders.context / "p_out.png")).any(axis=1))
    assert rows.mean() == pytest.approx(6, abs=1.5)


def test_damaged_file_is_refused_in_words(tab, folders, tmp_path):
    Path(tmp_path / "x.nii.gz").write_bytes(b"no")
    page = tab()
    page.locator("#file").set_input_files(tmp_path / "x.nii.gz")
    page.locator("#message.wrong", has_text="x.nii.gz").wait_for()
    assert not (folders.targets / "x.nii.gz").exists()


def test_wrong_token_says_what_to_do(browser, address):
    page = browser.new_page()
    page.goto(address.replace(TOKEN, "wrong"))
    said(page, "Open the address that")
    page.close()
