"""The server of the page, for this machine alone: `/` is the page, `/face` a face, as lines of JSON."""

import asyncio
import json
import sys
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jinja2
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler

from attr2face.demo.studio import Query, Studio
from attr2face.errors import UserError
from attr2face.parallel import Machine
from attr2face.steps import Steps

FOLDER = Path(__file__).parent
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# Faces that are being made or wait for it. The page asks for one after another.
MOST_WAITING = 8


class Abandoned(Exception):
    """Whoever asked for a face no longer waits for it."""


class Handler(RequestHandler):
    """What all answers share."""

    def initialize(self, studio: Studio, worker: ThreadPoolExecutor, waiting: set[asyncio.Future]) -> None:
        """Tornado calls this for each request; `waiting` are the faces of all that are not finished."""
        self.studio = studio
        self.worker = worker
        self.waiting = waiting
        self.closed = False

    def set_default_headers(self) -> None:
        """The page runs no script but its own."""
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")

    def on_connection_close(self) -> None:
        """The browser has gone."""
        self.closed = True
        super().on_connection_close()

    def query(self) -> Query:
        """What the link asks for; a UserError names what cannot be used."""
        arguments = self.request.query_arguments
        return self.studio.parse({name: self.get_query_argument(name) for name in arguments})


class PageHandler(Handler):
    """The page."""

    def get(self) -> None:
        """The page before the first face. It gets what its link asks for, or why that cannot be used."""
        jinja = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True)
        page = jinja.get_template("page.html.jinja")
        start = self.studio.start() | {"link": self._link() if self.request.query_arguments else None}
        self.write(page.render(**start, data=json.dumps(start).replace("<", "\\u003c")))

    def _link(self) -> dict[str, object]:
        try:
            return self.query().as_dict()
        except UserError as error:
            return {"error": sentence(error)}


class FaceHandler(Handler):
    """A face for the query of a link."""

    async def get(self) -> None:
        """Lines of JSON: {"done", "picture"}, at the end {"picture", "reading", "recipe"} or {"error"}."""
        self.set_header("Content-Type", "application/x-ndjson")
        try:
            self._check()
            await self._make(self.query())
        except HTTPError:
            raise
        except UserError as error:
            await self._send({"error": sentence(error)})
        except (Abandoned, StreamClosedError):
            self.closed = True
        except Exception:
            traceback.print_exc()
            told = "The face could not be made; the terminal in which make demo runs says why."
            await self._send({"error": told})

    def _check(self) -> None:
        """Refuse with a status and a UserError what another site asks for, and what would wait for long."""
        if not asked_here(self.request.headers):
            self.set_status(403)
            raise UserError("the face was asked for by another site; open the page of make demo itself")
        if len(self.waiting) >= MOST_WAITING:
            self.set_status(503)
            raise UserError(f"{MOST_WAITING} faces are being made; make this one when some are finished")

    async def _make(self, query: Query) -> None:
        loop = asyncio.get_running_loop()
        lines = asyncio.Queue()

        def tell(done: float, picture: str) -> None:
            if self.closed:
                raise Abandoned
            loop.call_soon_threadsafe(lines.put_nowait, {"done": done, "picture": picture})

        def ended(made: asyncio.Future) -> None:
            self.waiting.discard(made)
            if not made.cancelled():
                # Asyncio complains of an exception that nobody asks for, as when the browser has gone.
                made.exception()
            lines.put_nowait(None)

        making = loop.run_in_executor(self.worker, self.studio.make, query, tell)
        self.waiting.add(making)
        making.add_done_callback(ended)
        while line := await lines.get():
            await self._send(line)
        await self._send(await making)

    async def _send(self, line: dict[str, object]) -> None:
        self.write(json.dumps(line) + "\n")
        await self.flush()


def asked_here(headers: Mapping[str, str]) -> bool:
    """Whether this server's own page asks, or who typed the address, and no page of another site.

    Browsers tell it in Sec-Fetch-Site. Some leave it out on 127.0.0.1, and so do old ones and curl. Then the
    header is needed that the page's script sends: an image, a link or a form cannot send it, nor can a script
    of another site without this server's leave (CORS).
    """
    site = headers.get("Sec-Fetch-Site")
    if site is None:
        return headers.get("X-Requested-With") == "attr2face"
    return site in ("same-origin", "none")


def sentence(error: UserError) -> str:
    """What an error says, as a sentence on the page."""
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(("?", ".")) else ".")


def application(studio: Studio, worker: ThreadPoolExecutor) -> Application:
    """Answers to requests that name this machine: a page of the web cannot lead its own name here."""
    shared = {"studio": studio, "worker": worker, "waiting": set()}
    app = Application(static_path=str(FOLDER / "static"))
    pages = [("/", PageHandler, shared), ("/face", FaceHandler, shared)]
    app.add_handlers(r"(localhost|127\.0\.0\.1)", pages)
    return app


def serve(steps: Steps, port: int) -> None:
    """Load nets and tables, and answer at 127.0.0.1:port until Ctrl-C.

    Raises
    ------
    UserError
        If the port is taken, or something that faces are made from is missing and cannot be made.
    """
    worker = ThreadPoolExecutor(1, initializer=use_cards, initargs=(steps.machine,))
    studio = worker.submit(Studio, steps).result()
    asyncio.run(_listen(application(studio, worker), port))


def use_cards(machine: Machine) -> None:
    """Caffe's choice of a card holds for one thread: the one in which faces are made."""
    if machine.cards:
        from attr2face.pycaffe import use_card

        use_card(machine.cards[0])


async def _listen(app: Application, port: int) -> None:
    server = HTTPServer(app)
    try:
        server.listen(port, "127.0.0.1")
    except OSError as error:
        what = f"cannot serve the page at 127.0.0.1:{port}: {error.strerror}"
        raise UserError(f"{what}; choose another PORT") from error
    print(f"http://127.0.0.1:{port} shows the page; Ctrl-C ends it", file=sys.stderr, flush=True)
    await asyncio.Event().wait()
