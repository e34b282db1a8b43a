"""Nets: prototxt files, weights, training, extraction. Beside `generation.objective`, Caffe runs only here."""
