"""The network: prototxt files, weights, training, extraction. The only place, with `generation.objective`,
where Caffe runs.
"""
