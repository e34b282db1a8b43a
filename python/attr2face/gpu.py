"""Caffe's mode, set in one place."""

import subprocess
import sys

from attr2face.errors import UserError


def use_gpu(device: int) -> None:
    """Run Caffe on GPU `device`.

    Raises
    ------
    UserError
        If there is no such GPU or Caffe was built without CUDA. Caffe itself would abort, so another process tries first.
    """
    trial = f"import caffe; caffe.set_mode_gpu(); caffe.set_device({device})"
    if subprocess.run([sys.executable, "-c", trial], capture_output=True).returncode != 0:
        raise UserError(f"GPU={device} cannot be used: no such device, or Caffe was built for the CPU only; leave GPU empty")
    from attr2face.caffe_quietly import caffe

    caffe.set_mode_gpu()
    caffe.set_device(device)
