"""What the command line takes that is no setting: none of it is part of an output's key."""

OPTIONS = {
    "attrs": "attributes of the face, separated by commas, or @file with a set in each line; "
    "!Bald is a face without, Bald:1.5 more of it",
    "n": "different faces of each set of attributes",
    "out": "of generate and edit: a .png, or a folder; of report: an .html, or a folder; results/ without it",
    "store": "folder of artefacts; data/store without it",
    "workers": "processes on the CPU; 0 for one per processor",
    "gpu": "cards to run Caffe on, such as 0 or 0,1; the CPU without it",
    "scheduler": "of Dask, whose workers compute, such as tcp://host:8786; local:4 starts four here",
    "ship": "yes sends files to workers that do not share the store's folder",
    "port": "port of the demo's page",
    "torch": "a Python that has PyTorch, for bench to compare with",
}
DEFAULTS = {"workers": 0, "n": 1, "attrs": None, "port": "8866", "ship": False}
