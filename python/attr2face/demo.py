"""A page to play with: tick attributes, watch a face emerge, read what the judge sees in it, take it home.

Made of ipywidgets; `make demo` serves it with Voila on this machine alone.
"""

import base64
import io

import ipywidgets as widgets
import numpy as np

from attr2face.attributes import ATTRIBUTES, HEADS, INDEX, file_name, parse_attributes
from attr2face.errors import UserError
from attr2face.faces import Making, generate, read_back
from attr2face.judge import load_judge
from attr2face.models import mean_picture
from attr2face.sheets import enlarged
from attr2face.work import Files, files

STYLE = """<style>
.face-page {font-family: system-ui, sans-serif; max-width: 1180px; margin: auto}
.face-page img {border-radius: 8px}
.face-page a {color: #0072B2; text-decoration: underline}
.face-side {position: sticky; top: 12px; flex: 0 0 340px; overflow: visible}
.face-heads {display: block !important; columns: 4 180px; column-gap: 8px; flex: 1}
.face-head {break-inside: avoid; border: 1px solid #ddd; border-radius: 6px; padding: 0 8px;
  margin-bottom: 6px; width: auto; overflow: hidden}
.face-head .widget-checkbox {height: 24px; margin: 0; overflow: hidden}
.face-clash {border-color: #D55E00; background: #fdf0e8}
.face-table td {padding: 0 12px 0 0; line-height: 1.5}
</style>"""


class Page:
    """The page's widgets and what they do; `widget` is the whole of it."""

    def __init__(self, found: Files) -> None:
        self.sources, self.judge = found.sources, load_judge(found.judge)
        self.boxes = {name: widgets.Checkbox(description=name, indent=False, layout={"width": "auto"}) for name in ATTRIBUTES}
        self.heads = [widgets.VBox([self.boxes[name] for name in head.attributes]).add_class("face-head") for head in HEADS]
        self.face = widgets.Image(
            value=self._png(mean_picture(np.load(self.sources.lmdbs / "mean.npy"), self.sources.model)), width=320, height=320
        )
        self.seed = widgets.IntText(1, description="Seed", layout={"width": "150px"})
        self.strength = widgets.FloatSlider(2.0, min=0.5, max=4.0, step=0.25, description="Strength")
        self.button = widgets.Button(description="Make a face", button_style="primary", disabled=True)
        self.progress = widgets.FloatProgress(0.0, max=1.0, layout={"width": "320px"})
        self.message, self.reading = widgets.HTML(), widgets.HTML()
        for box in self.boxes.values():
            box.observe(lambda change: self._ticked(), "value")
        self.button.on_click(lambda button: self._make())
        self._ticked()
        side = widgets.VBox([self.face, self.progress, self.message, self.seed, self.strength, self.button, self.reading]).add_class(
            "face-side"
        )
        grid = widgets.VBox(self.heads).add_class("face-heads")
        title = widgets.HTML(
            STYLE + "<h1>Faces from attributes</h1><p>Tick what the face should have. Attributes in one frame exclude each other.</p>"
        )
        self.widget = widgets.VBox([title, widgets.HBox([side, grid], layout={"align_items": "flex-start"})]).add_class("face-page")

    def chosen(self) -> list[str]:
        return [name for name, box in self.boxes.items() if box.value]

    def _ticked(self) -> None:
        """Say what will be made, or which attributes exclude each other."""
        for head, frame in zip(HEADS, self.heads, strict=True):
            clash = sum(self.boxes[name].value for name in head.attributes) > 1
            (frame.add_class if clash else frame.remove_class)("face-clash")
        try:
            self.message.value = ", ".join(parse_attributes(",".join(self.chosen())))
            self.button.disabled = False
        except UserError as error:
            self.message.value = str(error) if self.chosen() else "Tick at least one attribute."
            self.button.disabled = True

    def _make(self) -> None:
        """Generate; the picture follows the descent."""
        self.button.disabled, self.reading.value = True, ""
        try:
            how = Making(strength=self.strength.value, seed=self.seed.value)
            images, _ = generate(self.sources, [self.chosen()], how, self._show)
            self._show(1.0, images)
            self.reading.value = self._read(images)
        except UserError as error:
            self.message.value = str(error)
        finally:
            self.button.disabled = False

    def _show(self, done: float, images: np.ndarray) -> None:
        self.progress.value, self.face.value = done, self._png(images[0])

    def _read(self, images: np.ndarray) -> str:
        """What judge and net see of what was asked for, and a link to the picture, as HTML."""
        seen, probability = self.judge.sees([np.asarray(enlarged(images[0]))])[0], read_back(self.sources, images)[0]
        lines = [
            f"<tr><td>{name}</td><td>{'seen' if seen[INDEX[name]] else 'not seen'}</td><td>{probability[INDEX[name]]:.0%}</td></tr>"
            for name in self.chosen()
        ]
        name = file_name(self.chosen()) + ".png"
        link = f'<a download="{name}" href="data:image/png;base64,{base64.b64encode(self.face.value).decode()}">Download {name}</a>'
        head = "<tr><td></td><td><b>judge</b></td><td><b>net itself</b></td></tr>"
        return f'<table class="face-table">{head}{"".join(lines)}</table>{link}'

    @staticmethod
    def _png(image: np.ndarray) -> bytes:
        file = io.BytesIO()
        enlarged(image).save(file, "PNG")
        return file.getvalue()


def page() -> widgets.Widget:
    """The page, from the files that make names."""
    return Page(files()).widget
