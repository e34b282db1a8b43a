"""Nets: prototxt files, weights, training, extraction. But for `generation.objective`, Caffe runs here."""
