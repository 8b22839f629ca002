"""An encoder for other software."""

from ppgssl.selfsupervised.onnx_export import export_onnx as export_onnx
