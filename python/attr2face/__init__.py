"""Faces from attributes with a Caffe network: a reproduction of Cate, Dalvi and Hussain (2016)."""
