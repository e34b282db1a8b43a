"""The steps for one set of settings: each is planned when it is asked for, and made when its folder is."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from attr2face.attributes import Attributes
from attr2face.datasets import Dataset, dataset_of
from attr2face.models import Model
from attr2face.parallel import Machine
from attr2face.settings import FIELDS, Settings, as_dict, as_text
from attr2face.steps.places import default_store, vgg_face
from attr2face.steps.registry import Choice, File, Step, Use, found
from attr2face.steps.resolve import defaults_of, model_of, notice, resolve
from attr2face.steps.views import ARGUMENTS, Run, View, training_seed
from attr2face.store import Artefact, Part, Source, Store, made_paths

ALWAYS = ("dataset", "model", "mean")  # settings that decide what the defaults of the others are


class Steps:
    """All steps for one set of settings.

    Parameters
    ----------
    given : mapping
        Settings by name, as text or as values; the others have their defaults.
    store : Path, optional
        Where artefacts are kept.
    machine : Machine, optional
        What computes.
    arguments : mapping, optional
        Some of `ARGUMENTS`.

    Attributes
    ----------
    settings : Settings
    notice : str
        What whoever makes faces should be told of them.
    """

    def __init__(
        self,
        given: Mapping[str, object],
        store: Path | None = None,
        machine: Machine | None = None,
        arguments: Mapping[str, object] | None = None,
    ) -> None:
        self.settings: Settings = resolve(given)
        own = as_dict(self.settings)
        self.given = {name: as_text(own[name]) for name in given}
        self.notice = notice(self.settings, given)
        self.arguments = dict(arguments or {})
        self.dataset: Dataset = replace(dataset_of(self.settings.dataset), zeros=self.settings.zeros)
        self.model: Model = model_of(self.settings.model, self.settings.mean)
        self.store = Store(store or default_store())
        self.machine = replace(machine or Machine(), single_thread=self.model.single_thread)
        self._planned: dict[str, tuple[object, set[str]]] = {}
        self._related: dict[str, Steps] = {_state_of(self.given, self.arguments): self}
        self._files: dict[File, Source] = {}

    def __getitem__(self, name: str) -> object:
        """A step as an artefact, or what a choice says in its place."""
        return self._plan(name)[0]

    @property
    def training_seed(self) -> int:
        """Seed of training, fitting and generation."""
        return training_seed(self.settings.seed, self.settings.repeat)

    def made(self, name: str) -> Path:
        """The folder of a step, once it is made."""
        return self[name].made()

    def reads(self, name: str) -> set[str]:
        """The settings that a step depends on, those of all that it is made from included."""
        return self._plan(name)[1]

    def view(self, name: str) -> View:
        """What the step or the choice of a name may read."""
        return View(name, found(name).reads, self._values)

    def varied(self, **changes: object) -> Steps:
        """The steps of the same store with some other settings or arguments."""
        return self.at(Use("", changes))

    def at(self, use: Use) -> Steps:
        """The steps that have the settings of a `Use`. They share what is known of files."""
        kept = {name: value for name, value in self.given.items() if name in ("model", "mean")}
        given = kept if use.anew else dict(self.given)
        arguments = {} if use.anew else dict(self.arguments)
        arguments |= {name: value for name, value in use.changes.items() if name in ARGUMENTS}
        given |= {name: as_text(value) for name, value in use.changes.items() if name not in ARGUMENTS}
        state = _state_of(given, arguments)
        if state not in self._related:
            other = Steps(given, self.store.root, self.machine, arguments)
            other._related = self._related
            other._files = self._files
            self._related[state] = other
        return self._related[state]

    @property
    def attributes(self) -> Attributes:
        """What pictures of the dataset may show."""
        return self.dataset.attributes

    @functools.cached_property
    def usual(self) -> Settings:
        """What the settings would be if nothing else was given."""
        named = replace(defaults_of(self.dataset, self.model), dataset=self.settings.dataset)
        return replace(named, model=self.settings.model, mean=self.settings.mean)

    @functools.cached_property
    def _values(self) -> dict[str, object]:
        """All that steps may read: the dataset and the model as descriptions, the rest as it is."""
        described = {"dataset": self.dataset, "model": self.model, "vgg_face": vgg_face(self.store.root)}
        return as_dict(self.settings) | described | ARGUMENTS | self.arguments

    def _plan(self, name: str) -> tuple[object, set[str]]:
        """What is in the place of a name, and the names of all settings that it depends on."""
        if name not in self._planned:
            what = found(name)
            plan = self._chosen if isinstance(what, Choice) else self._artefact
            self._planned[name] = plan(name, what, self.view(name))
        return self._planned[name]

    def _chosen(self, name: str, choice: Choice, view: View) -> tuple[object, set[str]]:
        chosen = choice.function(view)
        names = set(view.read)
        return self._resolved(chosen, names), names

    def _resolved(self, chosen: object, names: set[str]) -> object:
        """The same with artefacts and files in it; `names` gets the settings that these depend on."""
        if isinstance(chosen, Use):
            planned, read = self.at(chosen)._plan(chosen.name)
            # What a `Use` changes, or leaves at its default, does not depend on the settings here.
            names |= set() if chosen.anew else read - chosen.changes.keys()
            return self._part(chosen, planned) if chosen.part else planned
        if isinstance(chosen, File):
            if chosen not in self._files:
                self._files[chosen] = Source(self.store, chosen.path, chosen.remedy, chosen.parts)
            return self._files[chosen]
        if isinstance(chosen, Mapping):
            return {name: self._resolved(value, names) for name, value in chosen.items()}
        if isinstance(chosen, list | tuple):
            return [self._resolved(value, names) for value in chosen]
        return chosen

    def _part(self, use: Use, whole: Artefact) -> Part:
        told_by = self.at(use.as_of)[use.as_of.name] if use.as_of else whole
        return Part(whole, use.part, f"{told_by.key}/{use.part}")

    def _artefact(self, name: str, step: Step, view: View) -> tuple[Artefact, set[str]]:
        inputs, names = {}, set(step.reads)
        for input_name in step.inputs:
            inputs[input_name], read = self._plan(input_name)
            names |= read

        def work(out: Path) -> None:
            step.function(Run(view, out, self.machine), **made_paths(inputs))

        artefact = Artefact(
            store=self.store,
            group=self._group(names),
            stage=step.label(view) if step.label else name,
            work=work,
            settings={read: _keyed(getattr(view, read)) for read in step.reads},
            inputs=inputs,
            differences=self._differences(names),
            origin=self._origin(name, names),
            version=step.version,
            resumable=step.resumable,
            before=functools.partial(step.before, self) if step.before else None,
        )
        return artefact, names

    def _group(self, names: set[str]) -> str:
        """The folder of steps of a dataset and a model, so far as they depend on these."""
        named = {"dataset": self.dataset.name, "model": self.model.name}
        return "-".join(name for kind, name in named.items() if kind in names) or "all"

    def _differences(self, names: set[str]) -> dict[str, object]:
        """Those of some settings that were given and are not the defaults, for the name of a folder."""
        own, usual = as_dict(self.settings), as_dict(self.usual)
        given = (name for name in FIELDS if name in names and name in self.given)
        return {name: own[name] for name in given if own[name] != usual[name]}

    def _origin(self, name: str, names: set[str]) -> dict[str, object]:
        """What leads to a step again: its name, and those settings and arguments that it depends on."""
        given = {key: value for key, value in self.given.items() if key in names or key in ALWAYS}
        arguments = {key: value for key, value in self.arguments.items() if key in names}
        return {"step": name, "given": given, "arguments": arguments}


def _state_of(given: Mapping[str, object], arguments: Mapping[str, object]) -> str:
    """What tells steps of some settings from those of others."""
    return json.dumps([given, arguments], sort_keys=True, default=str)


def _keyed(value: object) -> object:
    """What a setting is in a key: descriptions of nets and datasets without paths."""
    return value.body if isinstance(value, Model | Dataset) else value
