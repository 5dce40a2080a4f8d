"""Parts of PyTorch programs: what cuda-convnet had and PyTorch lacks.

A translation to PyTorch is given copies of those that its network needs. They import nothing of this
package, and nothing in it imports them. Images are (cases, channels, rows, columns).
"""
