"""A page to play with: tick attributes, watch a face emerge, read what the judge sees in it, and download it.

It consists of ipywidgets; `make demo` serves it with Voila, for this machine alone.
"""

import base64
import io
from dataclasses import replace

import ipywidgets as widgets
import numpy as np

from attr2face.api import Pipeline
from attr2face.attributes import file_name
from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import enlarged
from attr2face.errors import UserError
from attr2face.evaluation.judge import load_judge
from attr2face.generation.faces import generate
from attr2face.generation.presets import needed

STYLE = """<style>
.face-page {font-family: system-ui, sans-serif; max-width: 1180px; margin: auto}
.face-page img {border-radius: 8px}
.face-page a {color: #0072B2; text-decoration: underline}
.face-side {position: sticky; top: 12px; flex: 0 0 340px; overflow: visible}
.face-heads {display: block !important; columns: 4 180px; column-gap: 8px; flex: 1}
.face-head {break-inside: avoid; border: 1px solid #ddd; border-radius: 6px; padding: 0 8px;
  margin-bottom: 6px; width: auto; overflow: hidden; --jp-widgets-font-size: 12px}
.face-head .widget-checkbox {height: 24px; margin: 0; overflow: hidden}
.face-clash {border-color: #D55E00; background: #fdf0e8}
.face-table td {padding: 0 12px 0 0; line-height: 1.5}
</style>"""
TITLE = "<h1>Faces from attributes</h1><p>Tick what the face should have. Attributes in one frame exclude each other.</p>"


class Page:
    """The widgets of the page and what they do.

    Parameters
    ----------
    pipeline : Pipeline
        Its settings decide how faces are generated; strength and seed are where the page starts.

    Attributes
    ----------
    widget : Widget
        The whole page.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.generation = pipeline.steps.settings.generation
        self.trained = pipeline.steps.for_faces(*needed(self.generation))
        self.judge = load_judge(pipeline.steps.judge.made() / "judge.h5")
        database = FaceDatabase.open(self.trained.database)
        self.attributes = database.attributes
        self.boxes = {name: widgets.Checkbox(description=name, indent=False, layout={"width": "auto"}) for name in self.attributes.names}
        frames = [widgets.VBox([self.boxes[name] for name in head.attributes]) for head in self.attributes.heads]
        self.heads = [frame.add_class("face-head") for frame in frames]
        self.face = widgets.Image(value=_png(database.preprocessing.mean_image), width=320, height=320)
        self.progress = widgets.FloatProgress(0.0, max=1.0, layout={"width": "320px"})
        self.message = widgets.HTML()
        self.seed = widgets.BoundedIntText(pipeline.steps.settings.seed, max=2**31, description="Seed", layout={"width": "150px"})
        self.strength = widgets.FloatSlider(self.generation.strength, min=0.5, max=4.0, step=0.25, description="Strength")
        self.button = widgets.Button(description="Make a face", button_style="primary", disabled=True)
        self.reading = widgets.HTML()
        self.widget = self._layout()
        for box in self.boxes.values():
            box.observe(lambda change: self._ticked(), "value")
        self.button.on_click(lambda button: self._make())
        self._ticked()

    def chosen(self) -> list[str]:
        """The ticked attributes."""
        return [name for name, box in self.boxes.items() if box.value]

    def _layout(self) -> widgets.Widget:
        """The face and its controls on the left, the attributes on the right."""
        controls = [self.face, self.progress, self.message, self.seed, self.strength, self.button, self.reading]
        side = widgets.VBox(controls).add_class("face-side")
        grid = widgets.VBox(self.heads).add_class("face-heads")
        body = widgets.HBox([side, grid], layout={"align_items": "flex-start"})
        return widgets.VBox([widgets.HTML(STYLE + TITLE), body]).add_class("face-page")

    def _ticked(self) -> None:
        """Say what the face will have, or which attributes exclude each other."""
        for head, frame in zip(self.attributes.heads, self.heads, strict=True):
            clash = sum(self.boxes[name].value for name in head.attributes) > 1
            (frame.add_class if clash else frame.remove_class)("face-clash")
        try:
            self.message.value = ", ".join(self.attributes.parse(",".join(self.chosen())))
            self.button.disabled = False
        except UserError as error:
            self.message.value = str(error) if self.chosen() else "Tick at least one attribute."
            self.button.disabled = True

    def _make(self) -> None:
        """Generate a face; the picture follows the descent."""
        self.button.disabled, self.reading.value = True, ""
        try:
            settings = replace(self.generation, strength=self.strength.value)
            images, _ = generate(self.trained, [self.chosen()], settings, self.seed.value, self._show)
            self._show(1.0, images)
            self.reading.value = self._read(images)
        except UserError as error:
            self.message.value = str(error)
        finally:
            self.button.disabled = False

    def _show(self, done: float, images: np.ndarray) -> None:
        self.progress.value, self.face.value = done, _png(images[0])

    def _read(self, images: np.ndarray) -> str:
        """What the judge and the net see of the ticked attributes, and a link to the picture, as HTML."""
        seen = self.judge.sees([np.asarray(enlarged(images[0]))])[0]
        probability, index = self.pipeline.read(images).iloc[0], self.attributes.index
        lines = [
            f"<tr><td>{name}</td><td>{'seen' if seen[index[name]] else 'not seen'}</td><td>{probability[name]:.0%}</td></tr>"
            for name in self.chosen()
        ]
        name = file_name(self.chosen()) + ".png"
        link = f'<a download="{name}" href="data:image/png;base64,{base64.b64encode(self.face.value).decode()}">Download {name}</a>'
        head = "<tr><td></td><td><b>judge</b></td><td><b>net itself</b></td></tr>"
        return f'<table class="face-table">{head}{"".join(lines)}</table>{link}'


def _png(image: np.ndarray) -> bytes:
    """An image of the net's size as an enlarged picture."""
    file = io.BytesIO()
    enlarged(image).save(file, "PNG")
    return file.getvalue()
