"""Small nets of the kinds that users have, with random weights: one in the shape of CaffeNet, and a residual
one.
"""

from pathlib import Path

CAFFENET = """
name: "SmallCaffeNet"
layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 10 dim: 3 dim: 67 dim: 67 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 7 stride: 2 weight_filler { type: "msra" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "norm1" type: "LRN" bottom: "pool1" top: "norm1"
  lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 } }
layer { name: "conv2" type: "Convolution" bottom: "norm1" top: "conv2"
  convolution_param { num_output: 16 pad: 2 kernel_size: 5 group: 2 weight_filler { type: "msra" } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "fc6" type: "InnerProduct" bottom: "pool2" top: "fc6"
  inner_product_param { num_output: 32 weight_filler { type: "msra" } } }
layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
layer { name: "drop6" type: "Dropout" bottom: "fc6" top: "fc6" dropout_param { dropout_ratio: 0.5 } }
layer { name: "fc7" type: "InnerProduct" bottom: "fc6" top: "fc7"
  inner_product_param { num_output: 24 weight_filler { type: "msra" } } }
layer { name: "relu7" type: "ReLU" bottom: "fc7" top: "fc7" }
layer { name: "fc8" type: "InnerProduct" bottom: "fc7" top: "fc8" inner_product_param { num_output: 10 } }
layer { name: "prob" type: "Softmax" bottom: "fc8" top: "prob" }
"""

# Batch normalisation, scale and ReLU in place, a depthwise convolution with PReLU, a sum, and the old way to
# declare an input.
RESIDUAL = """
input: "picture"
input_dim: 1 input_dim: 3 input_dim: 40 input_dim: 40
layer { name: "conv1" type: "Convolution" bottom: "picture" top: "conv1"
  convolution_param { num_output: 6 pad: 1 kernel_size: 3 stride: 2 bias_term: false
    weight_filler { type: "msra" } } }
layer { name: "bn_conv1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
layer { name: "scale_conv1" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
layer { name: "conv1_relu" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "branch_a" type: "Convolution" bottom: "conv1" top: "branch_a"
  convolution_param { num_output: 6 pad: 1 kernel_size: 3 group: 6 bias_term: false
    weight_filler { type: "msra" } } }
layer { name: "bn_a" type: "BatchNorm" bottom: "branch_a" top: "branch_a" }
layer { name: "scale_a" type: "Scale" bottom: "branch_a" top: "branch_a" scale_param { bias_term: true } }
layer { name: "prelu_a" type: "PReLU" bottom: "branch_a" top: "branch_a_active" }
layer { name: "branch_b" type: "Convolution" bottom: "branch_a_active" top: "branch_b"
  convolution_param { num_output: 6 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "sum" type: "Eltwise" bottom: "conv1" bottom: "branch_b" top: "sum"
  eltwise_param { operation: SUM } }
layer { name: "sum_relu" type: "ReLU" bottom: "sum" top: "sum" }
layer { name: "conv2" type: "Convolution" bottom: "sum" top: "conv2"
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 weight_filler { type: "msra" } } }
layer { name: "conv2_relu" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "pool" type: "Pooling" bottom: "conv2" top: "pool"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 10 } }
"""


def write_net(folder: Path, name: str, prototxt: str) -> Path:
    """Write a net and random weights of it, with statistics of batch normalisation that are not trivial;
    return the prototxt's path.
    """
    from attr2face.pycaffe import caffe

    path = folder / f"{name}.prototxt"
    path.write_text(prototxt)
    caffe.set_random_seed(1)
    net = caffe.Net(str(path), caffe.TEST)
    for layer in (name for name in net.params if name.startswith("bn_")):
        mean, variance, factor = (blob.data for blob in net.params[layer])
        mean[...], variance[...], factor[...] = 0.1, 2.0, 1.0
    net.save(str(path.with_suffix(".caffemodel")))
    return path
