"""The page of `make demo`: its queries, its server, and what a user meets in a browser, on a small
pipeline.
"""

import asyncio
import base64
import io
import json
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from attr2face.attributes import pubfig
from attr2face.cli.main import parse_words
from attr2face.demo.server import MOST_WAITING, application, sentence
from attr2face.demo.studio import Query, Studio
from attr2face.errors import UserError
from attr2face.generation.faces import Loaded, generate_faces
from attr2face.generation.priors.appearance import Heads
from attr2face.steps import Steps
from tests.conftest import SMALL, attr2face, says

# What the page's script sends.
OWN = {"X-Requested-With": "attr2face"}


@pytest.fixture(scope="module")
def studio(steps) -> Studio:
    return Studio(steps)


def made(studio: Studio, **changes: object) -> dict[str, object]:
    query = Query(["Male", "Smiling"], 1.5, 0.5)
    return studio.make(replace(query, **changes), lambda done, picture: None)


def pixels(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_a_link_names_attributes_as_requests_do(studio):
    assert studio.parse({"attributes": "smiling:1.5, !bald, male"}).words == ["Male", "!Bald", "Smiling:1.5"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "tick at least one"),
        ("Mal", "did you mean Male"),
        ("Male:99", "no strength"),
        ("Male:x", "no strength"),
        ("Male:nan", "no strength"),
        ("Bald,Receding Hairline", "exclude each other"),
    ],
)
def test_attributes_that_cannot_be_used_are_named(studio, text, part):
    with pytest.raises(UserError, match=part):
        studio.parse({"attributes": text})


def test_a_link_without_numbers_takes_those_of_the_settings(studio):
    assert studio.parse({"attributes": "Male"}) == Query(
        ["Male"], studio.generation.strength, studio.variety, 0
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strength", "9"),
        ("variety", "-1"),
        ("face", "1.5"),
        ("face", "1000"),
        ("strength", "inf"),
        ("seed", "1"),
    ],
)
def test_a_link_with_a_wrong_value_is_refused_by_name(studio, name, value):
    with pytest.raises(UserError, match=name):
        studio.parse({"attributes": "Male", name: value})


def test_what_a_link_asks_for_has_a_weight_for_each_attribute(studio):
    asked = studio.parse(
        {"attributes": "Smiling:1.3,!Bald,Male", "strength": "1.1", "variety": "0.3", "face": "7"}
    ).as_dict()
    assert asked == {
        "attributes": {"Male": 1, "Bald": 0, "Smiling": 1.3},
        "strength": 1.1,
        "variety": 0.3,
        "face": 7,
    }


def test_the_page_starts_with_a_strength_beyond_its_usual_range(steps):
    studio = Studio(Steps({**SMALL, "strength": "9"}, steps.store.root))
    assert studio.generation.strength == 9
    assert (
        studio.parse({"attributes": "Male", "strength": "9"}).strength
        == studio.start()["most"]["strength"]
        == 9
    )


def test_a_face_is_the_same_after_others_were_made(studio, steps):
    first = made(studio)
    made(studio, words=["Bald:2"], face=3)
    assert made(studio)["picture"] == first["picture"]
    generation = replace(steps.settings.generation, strength=1.5, variety=0.5)
    (alone,), _ = generate_faces(
        Loaded(studio.loaded.trained), [["Male", "Smiling"]], generation, studio.seed
    )
    resized = np.asarray(Image.fromarray(alone).resize((256, 256), Image.Resampling.BICUBIC))
    assert np.array_equal(pixels(first["picture"]), resized)


def test_a_second_face_reads_no_file(studio, monkeypatch):
    made(studio)
    monkeypatch.setattr(
        "attr2face.network.weights.load", lambda *arguments: pytest.fail("a net was loaded again")
    )
    monkeypatch.setattr(
        "attr2face.generation.loaded.load_appearance",
        lambda *arguments: pytest.fail("the appearance model was loaded again"),
    )
    made(studio, face=1)


@pytest.mark.parametrize(
    "change",
    [
        {"face": 1},
        {"strength": 3.0},
        {"variety": 0.0},
        {"words": ["Male", "Smiling:0.25"]},
        {"words": ["Male", "!Smiling"]},
    ],
)
def test_each_choice_changes_the_face(studio, change):
    assert made(studio, **change)["picture"] != made(studio)["picture"]


def test_the_reading_has_the_judges_own_accuracy(studio):
    for row in made(studio)["reading"]:
        known = studio.accuracy[row["attribute"]]
        assert row["accuracy"] == (None if np.isnan(known) else round(known, 3))
        unread = np.isnan(studio.judge.threshold[pubfig().index[row["attribute"]]])
        assert row["seen"] is None if unread else isinstance(row["seen"], bool)
        assert 0 <= row["net"] <= 1


@pytest.mark.parametrize("preset", ["people", "eigenfaces"])
def test_rare_pairs_exclude_each_other_in_no_head_and_are_rare_in_the_training_pictures(steps, preset):
    studio = Studio(steps.varied(preset=preset))
    loaded, head_of = studio.loaded, pubfig().head_of
    m = loaded.appearance.regression if preset == "people" else loaded.mixture
    pairs = studio.rare_pairs()
    assert pairs
    for one, other in pairs:
        i, j = pubfig().index[one], pubfig().index[other]
        assert (
            m.covariance[i, j] + m.prevalence[i] * m.prevalence[j] < 0.1 * m.prevalence[i] * m.prevalence[j]
        )
        assert head_of(one) is not head_of(other)


@pytest.mark.parametrize("words", [["Male", "Smiling"], ["Male", "!Bald", "Smiling:1.5"]])
def test_the_recipes_command_asks_for_the_same_face(studio, steps, words):
    command = made(studio, words=words, face=2)["recipe"]["command"]
    run = parse_words(["generate", *shlex.split(command)[2:], f"STORE={steps.store.root}"])
    assert run.sets == [words] * 3
    assert run.steps.settings == replace(
        steps.settings, generation=replace(steps.settings.generation, strength=1.5, variety=0.5)
    )


def test_a_head_without_a_backdrop_has_one_for_the_judge_alone(studio, monkeypatch):
    pictures = Heads.pictures

    def transparent(heads, u, backdrop):
        drawn = pictures(heads, u, backdrop)
        return np.concatenate([drawn, np.full_like(drawn[..., :1], 128)], axis=3)

    monkeypatch.setattr(Heads, "pictures", transparent)
    face = made(studio)
    assert pixels(face["picture"]).shape[:2] == (256, 256)
    assert face["reading"]


def test_lent_heads_are_refused_in_a_sentence(steps):
    with pytest.raises(UserError, match="HEAD=lent has no effect on demo, which draws whole heads"):
        Studio(steps.varied(head="lent"))


def test_an_error_is_a_sentence():
    assert sentence(UserError("no attribute is chosen")) == "No attribute is chosen."
    assert sentence(UserError("did you mean Male?")) == "Did you mean Male?"


def test_a_port_that_is_none_or_taken_is_one_sentence(steps):
    given = {**steps.given, "store": steps.store.root}
    says(attr2face("demo", **given, port="http"), "PORT=http")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        says(attr2face("demo", **given, port=port), str(port), "choose another PORT")


@pytest.fixture(scope="module")
def address(steps, tmp_path_factory) -> str:
    """The address of a server, as make demo starts it."""
    for step in (steps["judge"], steps["appearance"]):
        step.made()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    named = [
        f"{name.upper()}={value}"
        for name, value in {**steps.given, "store": steps.store.root, "port": port}.items()
    ]
    log = tmp_path_factory.mktemp("demo") / "log"
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "attr2face", "demo", *named], stdout=file, stderr=file
        )
    deadline = time.monotonic() + 120
    while "shows the page" not in log.read_text() and server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(timeout=20)


def lines_of(address: str, **query: object) -> list[dict[str, object]]:
    asked = urllib.request.Request(f"{address}/face?{urllib.parse.urlencode(query)}", headers=OWN)
    with urllib.request.urlopen(asked, timeout=120) as answer:
        return [json.loads(line) for line in answer]


def test_the_server_answers_with_a_face_and_its_reading(address):
    *_, end = lines_of(address, attributes="Male,Smiling:1.5", face=1)
    assert pixels(end["picture"]).shape == (256, 256, 3)
    assert [row["attribute"] for row in end["reading"]] == ["Male", "Smiling"]
    assert end["recipe"]["attributes"] == {"Male": 1.0, "Smiling": 1.5}


def test_requests_at_once_get_the_faces_of_requests_alone(address):
    alone = [lines_of(address, attributes="Male", face=face)[-1] for face in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda face: lines_of(address, attributes="Male", face=face)[-1], (0, 1)))
    assert [face["picture"] for face in together] == [face["picture"] for face in alone]


def test_a_wrong_request_is_answered_with_a_sentence(address):
    assert lines_of(address, attributes="Bald,Receding Hairline") == [
        {
            "error": "'Bald' and 'Receding Hairline' are classes of one head and exclude each other; "
            "choose one."
        }
    ]


def test_a_face_that_nobody_waits_for_is_abandoned(address):
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as gone:
        gone.sendall(
            b"GET /face?attributes=Male HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Requested-With: attr2face\r\n\r\n"
        )
        gone.recv(100)
    assert lines_of(address, attributes="Male")[-1]["recipe"]


def test_a_page_of_the_web_cannot_lead_its_own_name_to_the_server(address):
    asked = urllib.request.Request(address, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(asked, timeout=20)


class Slow:
    """In place of a studio: no face is finished before `ready`."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.made = 0

    def parse(self, arguments: dict[str, str]) -> dict[str, str]:
        return arguments

    def make(self, query: dict[str, str], tell: Callable) -> dict[str, object]:
        tell(0.5, "half a face")
        self.ready.wait(timeout=20)
        self.made += 1
        return {"recipe": query}


def ask_slow(studio: Slow, talk: Callable) -> object:
    """What `talk` returns, which gets a function that asks a server of `studio` with some headers."""

    async def served() -> object:
        (listening,) = bind_sockets(0, "127.0.0.1")
        with ThreadPoolExecutor(1) as worker:
            HTTPServer(application(studio, worker)).add_sockets([listening])
            client = AsyncHTTPClient(force_instance=True, max_clients=2 * MOST_WAITING)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/face?attributes=Male"
            return await talk(lambda headers: client.fetch(url, headers=headers, raise_error=False))

    return asyncio.run(served())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", **OWN}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        (OWN, 200),
    ],
)
def test_a_page_of_another_site_gets_no_face(headers, status):
    studio = Slow()
    studio.ready.set()
    answer = ask_slow(studio, lambda ask: ask(headers))
    assert (answer.code, studio.made) == (status, status == 200)
    if status == 403:
        assert "another site" in json.loads(answer.body)["error"]


def test_a_face_is_shown_on_its_way():
    studio = Slow()
    studio.ready.set()
    lines = [json.loads(line) for line in ask_slow(studio, lambda ask: ask(OWN)).body.splitlines()]
    assert lines == [{"done": 0.5, "picture": "half a face"}, {"recipe": {"attributes": "Male"}}]


def test_only_so_many_faces_wait():
    studio = Slow()

    async def ask_for_one_too_many(ask: Callable) -> None:
        asked = [asyncio.ensure_future(ask(OWN)) for _ in range(MOST_WAITING + 1)]
        refused = await next(asyncio.as_completed(asked))
        assert refused.code == 503
        assert (
            json.loads(refused.body)["error"]
            == "8 faces are being made; make this one when some are finished."
        )
        studio.ready.set()
        assert sorted(answer.code for answer in await asyncio.gather(*asked)) == [200] * MOST_WAITING + [503]
        assert (await ask(OWN)).code == 200

    ask_slow(studio, ask_for_one_too_many)
    assert studio.made == MOST_WAITING + 1


# In a browser.


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("there is no Chromium: install chromium and chromium-driver")
    profile = tmp_path_factory.mktemp("profile")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    quiet = (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        f"user-data-dir={profile}",
    )
    for argument in quiet:
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """Chromium, 1280 pixels wide; at the end its console has no error."""
    resize(chromium, 1280)
    yield chromium
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []


def resize(browser, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def by_id(browser, name: str):
    return browser.find_element(By.ID, name)


def tick(browser, name: str) -> None:
    browser.find_element(By.CSS_SELECTOR, f"input[value='{name}']").click()


def wait_for_faces(browser) -> None:
    WebDriverWait(browser, 180).until(lambda page: "faces are made" in by_id(page, "status").text)


def test_conflicts_are_shown_as_one_ticks(browser, address):
    browser.get(address)
    tick(browser, "Bald")
    tick(browser, "Receding Hairline")
    assert by_id(browser, "conflict").text == "Bald and Receding Hairline exclude each other; choose one."
    assert by_id(browser, "make").get_attribute("aria-disabled") == "true"
    tick(browser, "Receding Hairline")
    assert by_id(browser, "conflict").text == ""
    assert by_id(browser, "make").get_attribute("aria-disabled") == "false"


def test_a_tick_and_the_enter_key_make_faces_to_choose_from_and_a_link_that_makes_them_again(
    browser, address
):
    browser.get(address)
    tick(browser, "Bald")
    browser.find_element(By.CSS_SELECTOR, "input[value='Bald']").send_keys(Keys.ENTER)
    wait_for_faces(browser)
    choices = browser.find_elements(By.CSS_SELECTOR, "#choices button")
    assert len(choices) == 4
    choices[2].click()
    picture, link = by_id(browser, "face").get_attribute("src"), browser.current_url
    assert "face=2" in link
    assert by_id(browser, "picture").get_attribute("download") == "Bald-2.png"
    assert by_id(browser, "picture").get_attribute("href") == picture
    recipe = json.loads(
        urllib.parse.unquote(by_id(browser, "recipe").get_attribute("href").partition(",")[2])
    )
    assert recipe["attributes"] == {"Bald": 1}
    assert recipe["face"] == 2
    assert "Bald" in by_id(browser, "reading").text
    browser.get("about:blank")
    browser.get(link)
    wait_for_faces(browser)
    assert by_id(browser, "face").get_attribute("src") == picture


def test_a_weight_is_part_of_the_link(browser, address):
    browser.get(f"{address}/?attributes=Male,Smiling&variety=0")
    wait_for_faces(browser)
    slider = browser.find_element(By.CSS_SELECTOR, "[aria-label='Weight of Smiling']")
    slider.send_keys(Keys.ARROW_RIGHT)
    slider.send_keys(Keys.ENTER)
    WebDriverWait(browser, 60).until(lambda page: "Smiling%3A1.25" in page.current_url)
    wait_for_faces(browser)


@pytest.mark.parametrize(
    ("link", "part"),
    [
        ("attributes=Mal", "did you mean Male"),
        ("attributes=Male&face=1000", "choose 0 to 999"),
        ("attributes=Male&strength=9", "choose 0 to 4"),
        ("attributes=%3C%2Fscript%3E", "</script>"),
        ("strength=1", "attribute is chosen"),
        ("attributes=Male&utm=1", "'utm'"),
    ],
)
def test_a_link_that_cannot_be_used_is_a_sentence_on_the_page(browser, address, link, part):
    browser.get(f"{address}/?{link}")
    assert part in by_id(browser, "error").text
    tick(browser, "Male")
    by_id(browser, "make").click()
    wait_for_faces(browser)
    assert by_id(browser, "error").text == ""


def test_a_link_is_shown_as_it_asks(browser, address):
    browser.get(f"{address}/?attributes=smiling:4.37,!wearing_hat&strength=1.1&variety=0.3&face=998")
    assert [by_id(browser, f"{name}-value").text for name in ("strength", "variety")] == ["1.10", "0.30"]
    assert [row.text.split("\n")[:2] for row in browser.find_elements(By.CSS_SELECTOR, "#wanted li")] == [
        ["Smiling", "4.37"],
        ["Wearing Hat", "not"],
    ]
    wait_for_faces(browser)
    recipe = json.loads(
        urllib.parse.unquote(by_id(browser, "recipe").get_attribute("href").partition(",")[2])
    )
    shown = {name: recipe[name] for name in ("attributes", "strength", "variety", "face")}
    assert shown == {
        "attributes": {"Smiling": 4.37, "Wearing Hat": 0},
        "strength": 1.1,
        "variety": 0.3,
        "face": 998,
    }
    assert len(browser.find_elements(By.CSS_SELECTOR, "#choices button")) == 4


def test_what_the_judge_sees_is_marked_where_it_is_not_what_was_asked_for(browser, address):
    browser.get(f"{address}/?attributes=Male,!Bald")
    wait_for_faces(browser)
    rows = browser.find_elements(By.CSS_SELECTOR, "#reading tr")
    marked = {
        row.find_element(By.TAG_NAME, "th").text: row.find_elements(By.CLASS_NAME, "no") != [] for row in rows
    }
    said = {
        row.find_element(By.TAG_NAME, "th").text: row.find_element(By.TAG_NAME, "td").text for row in rows
    }
    assert marked == {"Male": said["Male"] == "does not see it", "Bald": said["Bald"] == "sees it"}


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window(browser, address, width):
    resize(browser, width)
    browser.get(f"{address}/?attributes=Male,Partially+Visible+Forehead,Strong+Nose-Mouth+Lines")
    wait_for_faces(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_every_control_has_a_name_and_is_reached_by_tab_in_the_order_of_the_page(browser, address):
    browser.get(f"{address}/?attributes=Male")
    wait_for_faces(browser)
    controls = browser.find_elements(By.CSS_SELECTOR, "input, button, a[href], output")
    assert [
        c.get_attribute("outerHTML")
        for c in controls
        if c.is_displayed() and c.tag_name != "output" and not c.accessible_name
    ] == []
    places = []
    browser.execute_script("document.activeElement.blur()")
    for _ in range(12):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        places.append(
            browser.execute_script(
                "return [...document.querySelectorAll('*')].indexOf(document.activeElement)"
            )
        )
    assert places == sorted(places)
    assert len(set(places)) == len(places)


def test_what_happens_is_told_to_a_screen_reader(browser, address):
    browser.get(address)
    roles = {
        name: by_id(browser, name).get_attribute("role") for name in ("conflict", "hint", "status", "error")
    }
    assert roles == {"conflict": "alert", "hint": "status", "status": "status", "error": "alert"}
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
    tick(browser, "Male")
    by_id(browser, "make").click()
    wait_for_faces(browser)
    assert by_id(browser, "face").get_attribute("alt") == "Generated face: Male"
