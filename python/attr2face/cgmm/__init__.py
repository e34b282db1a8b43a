"""The custom Gaussian mixture of the paper: moments, weights and targets. Plain numpy, without Caffe."""
