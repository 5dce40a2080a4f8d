"""Train a plain Keras network on handwritten digits, with four groups of parameters.

Needs scikit-learn: pip install 'convnet-cfg[demo]'
"""

import keras

from convnet_cfg.data.samples import Digits
from convnet_cfg.optim import Exponential, Group, GroupedOptimizer

EPOCHS, BATCH = 10, 50


def digits():
    """Return 1,500 images and labels to train on, and 297 that are held out; values from 0 to 1."""
    source = Digits()
    batches = [source.batch(number) for number in source.numbers]
    images = [batch.images.astype("float32") / 16 for batch in batches]
    labels = [batch.labels for batch in batches]
    join = keras.ops.concatenate
    return (join(images[:3]), join(labels[:3])), (images[3], labels[3])


def network():
    """Return two convolutions and two dense layers."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu", name="conv1"),
            layers.Conv2D(32, 3, activation="relu", name="conv2"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="dense1"),
            layers.Dense(10, name="output"),
        ]
    )


def groups(model):
    """Return four groups: kernels by kind of layer, biases, and the output layer with a rate that falls."""
    decayed = {"momentum": 0.9, "decay": "decoupled"}
    return [
        Group("conv*/kernel", learning_rate=0.02, weight_decay=1e-4, name="convolutions", **decayed),
        Group("dense1/kernel", learning_rate=0.02, weight_decay=4e-4, name="dense", **decayed),
        Group(["conv*/bias", "dense1/bias"], learning_rate=0.04, decay="none", name="biases"),
        Group(
            model.get_layer("output"),
            learning_rate=Exponential(0.05, target_factor=10),
            weight_decay=1e-3,
            name="output",
            **decayed,
        ),
    ]


def main():
    """Train, then print what every variable got, and the accuracy on the digits that were held out."""
    keras.utils.set_random_seed(1)
    (images, labels), held_out = digits()
    model = network()
    steps = EPOCHS * len(images) // BATCH
    optimizer = GroupedOptimizer(groups(model), total_steps=steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.fit(images, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    print(optimizer.table())
    _, accuracy = model.evaluate(*held_out, verbose=0)
    print(f"held out: {accuracy:.1%} right")


if __name__ == "__main__":
    main()
