"""The notebooks and the demo's page, on a small pipeline: every cell runs, and in a browser a tick and a click lead to a face."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from attr2face import cli
from attr2face.api import ENVIRONMENT, Pipeline

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[1-6]_*.ipynb"))


@pytest.fixture(scope="module")
def environment(steps) -> dict[str, str]:
    """What make gives to notebooks: the settings and the store of the small pipeline, where the steps that they read are made."""
    for step in (steps.mixture, steps.scores, steps.eigenfaces, steps.judge):
        step.made()
    named = {**steps.given, "store": steps.store.root}
    return os.environ | {ENVIRONMENT: shlex.join(f"{name.upper()}={value}" for name, value in named.items())}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, environment, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, environment[ENVIRONMENT])
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [set(output.data) for cell in code for output in cell.outputs if "data" in output]
    assert shown
    figures = [cell for cell in code if "figures." in cell.source]
    assert sum("image/png" in kinds for kinds in shown) >= len(figures), "figures are seen, not named"


@pytest.mark.parametrize("path", [*NOTEBOOKS, ROOT / "notebooks" / "demo.ipynb"], ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def test_a_notebook_gets_what_the_command_was_given(monkeypatch, tmp_path):
    handed = {}
    monkeypatch.setattr(cli.subprocess, "run", lambda command, env: handed.update(env) or subprocess.CompletedProcess(command, 0))
    run = cli.parse(["jupyter", "PEOPLE=8", "STRENGTH=1.5", "WORKERS=1", f"STORE={tmp_path / 'a store'}"])
    cli._jupyter(run, "lab")
    monkeypatch.setenv(ENVIRONMENT, handed[ENVIRONMENT])
    found = Pipeline.from_environment().steps
    assert found.settings == run.steps.settings
    assert found.store.root == run.steps.store.root
    assert found.machine == run.steps.machine


def test_there_are_six_notebooks_in_reading_order():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{i}_" for i in range(1, 7)]


@pytest.fixture
def address(environment, unused_port):
    command = [sys.executable, "-m", "voila", "notebooks/demo.ipynb", "--Voila.ip=127.0.0.1", f"--port={unused_port}", "--no-browser"]
    server = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{unused_port}"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/voila/static/", timeout=5)
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.3)
    yield address
    server.terminate()
    server.wait(timeout=20)


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def browser(tmp_path):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("there is no Chromium: install chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    quiet = ("headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run", "disable-background-networking",
             "disable-component-update", "disable-sync", "window-size=1200,1400", f"user-data-dir={tmp_path / 'profile'}")  # fmt: skip
    for argument in quiet:
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def test_ticking_attributes_and_a_click_make_a_face(browser, address, tmp_path):
    browser.get(address)
    wait = WebDriverWait(browser, 180)

    def label(name: str):
        return wait.until(lambda page: page.find_element(By.XPATH, f"//label[normalize-space()='{name}']"))

    def button():
        return browser.find_element(By.XPATH, "//button[normalize-space()='Make a face']")

    label("Bald").click()
    label("Receding Hairline").click()
    wait.until(lambda page: "exclude each other" in page.page_source)
    assert not button().is_enabled()
    label("Receding Hairline").click()
    wait.until(lambda page: button().is_enabled())

    before = browser.find_element(By.CSS_SELECTOR, ".face-page img").get_attribute("src")
    button().click()
    wait.until(lambda page: page.find_elements(By.CSS_SELECTOR, "a[download='Bald.png']"))
    assert browser.find_element(By.CSS_SELECTOR, ".face-page img").get_attribute("src") != before
    browser.save_screenshot(str(tmp_path / "page.png"))
    assert "judge" in browser.find_element(By.CSS_SELECTOR, ".face-table").text
