"""Reads the configuration files of cuda-convnet and trains their networks in Keras."""
