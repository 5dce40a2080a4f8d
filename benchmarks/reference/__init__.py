"""docs/reference.md: everything that the tables of `convnet_cfg.language` declare, and what becomes of it.

Nothing here knows a layer type: types, keys, formulas and reasons are read from the declarations, the Keras
layers from the networks that are built of the pairs in docs/examples.
"""
