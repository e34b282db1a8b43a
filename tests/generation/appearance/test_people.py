"""People drawn from the appearance model, chosen by the net, and moved towards activations."""

import numpy as np
import pytest

from attr2face.generation.faces import generate_faces, rng_of_face
from attr2face.generation.inversion import invert_layer
from attr2face.generation.loaded import Loaded
from attr2face.generation.presets import filled, needed
from attr2face.generation.priors.appearance import chosen_people
from attr2face.settings import Generation
from attr2face.steps.fitting import trained_by

SETS = [["Male", "Smiling"], ["Blond Hair"]]


@pytest.fixture(scope="module")
def with_heads(steps):
    """What faces and inversions of heads are made from."""
    return trained_by(steps, "mixture", "appearance", "decoder")


@pytest.fixture(scope="module")
def loaded(with_heads) -> Loaded:
    return Loaded(with_heads)


def likelihood(loaded: Loaded, choices: int) -> np.ndarray:
    """The log-likelihood of what is requested, as the net reads it in chosen people."""
    requests = np.stack([loaded.database.attributes.request(words) for words in SETS])
    settings = filled(Generation(preset="people", choices=choices))
    z = chosen_people(loaded, requests, settings, [rng_of_face(1, 0, a) for a in requests])
    read = loaded.read(loaded.heads.canvas(loaded.heads.of_z(z)))[:-1]
    return np.where(requests > 0, np.log(read), np.where(requests == 0, np.log(1 - read), 0)).sum(axis=1)


def test_of_several_people_the_net_chooses_one_in_whom_it_reads_more(loaded):
    one, several = (likelihood(loaded, choices) for choices in (1, 6))
    assert (several >= one - 1e-4).all()
    assert (several > one + 1e-4).any()


def test_the_same_seed_chooses_the_same_person_whoever_is_beside(loaded):
    settings = Generation(preset="people", choices=3)
    both, _ = generate_faces(loaded, SETS, settings, 1)
    again, _ = generate_faces(loaded, SETS, settings, 1)
    alone, _ = generate_faces(loaded, SETS[1:], settings, 1)
    other, _ = generate_faces(loaded, SETS[1:], settings, 2)
    assert both.shape == (2, 256, 256, 3)
    assert (both == again).all()
    assert np.abs(both[1].astype(int) - alone[0]).mean() < 0.5
    assert np.abs(other[0].astype(int) - alone[0]).mean() > 2


def test_the_average_face_of_a_request_leaves_nothing_to_choose(loaded):
    one, several = (
        generate_faces(loaded, SETS, Generation(preset="people", variety=0.0, choices=choices), 1)[0]
        for choices in (1, 4)
    )
    assert (one == several).all()


def test_a_face_is_kept_from_folding_once(loaded, monkeypatch):
    calls, constrained = [], type(loaded.appearance).constrained

    def counted(model, z):
        calls.append(len(z))
        return constrained(model, z)

    monkeypatch.setattr(type(loaded.appearance), "constrained", counted)
    generate_faces(loaded, SETS, Generation(preset="people"), 1)
    assert calls == [2]


def test_people_are_moved_towards_the_target_of_a_request(loaded):
    faces, losses = generate_faces(loaded, SETS, Generation(preset="towards"), 1)
    assert faces.shape == (2, 256, 256, 3)
    assert losses.shape == (60, 2)
    assert (losses[-1] < losses[0]).all()


def test_a_descent_of_heads_needs_what_reads_them_off_activations():
    assert needed(Generation(preset="towards", target="classes")) == {"appearance"}


def test_activations_become_heads_larger_than_what_the_net_sees(with_heads, loaded):
    layer = loaded.mixture.layer
    phi = loaded.mixture.mean.reshape(1, *loaded.mixture.shape).astype(np.float32)
    found = invert_layer(with_heads, layer, phi, "appearance", 1)
    assert found.shape == (1, 256, 256, 3)
    assert (found == invert_layer(with_heads, layer, phi, "appearance", 1)).all()
