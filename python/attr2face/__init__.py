"""Faces from attributes, by a convolutional network in Caffe: a reproduction of DeepFace (Cate, Dalvi and
Hussain, 2016).
"""

from attr2face.api import Face, Pipeline
from attr2face.errors import UserError

__all__ = ["Face", "Pipeline", "UserError"]
