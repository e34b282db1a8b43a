"""Faces from attributes, by a convolutional network in Caffe: a reproduction of DeepFace (Cate, Dalvi and
Hussain, 2016).
"""

from attr2face.errors import UserError

__all__ = ["Face", "Pipeline", "UserError"]


def __getattr__(name: str) -> object:
    """`Face` and `Pipeline`, which the command line does not need."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from attr2face import api

    return getattr(api, name)
