"""Ways in which a pair of configuration files goes wrong, on purpose: each changes a few lines by chance.

They know the words of the language, the layers of the files, and what other files say of a key.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.mutation_words import KEYS, LINE_STARTS, NUMBERS, REPEATED, TYPES, WORDS

Lines = list[str]

BOMB_SIZES = (10, 100, 1000, 20_000)
CHAIN_LENGTHS = (2, 9, 10, 11, 40, 400)
LAYER_NUMBERS = (2, 5, 50, 400)
NUMBER = re.compile(r"(?<!\w)[0-9]+(?!\w)", re.ASCII)


@dataclass
class Draft:
    """Two files as lines, and what the files of all seeds say of each key, lower-cased."""

    layers: Lines
    params: Lines
    values: Mapping[str, Sequence[str]]
    seeds: Sequence[tuple[Lines, Lines]] = field(default_factory=list)

    def file(self, chance: random.Random) -> Lines:
        """Return the lines of one of the files, the definition more often than not."""
        return self.params if chance.random() < 0.35 else self.layers

    def option(self, chance: random.Random) -> tuple[Lines, int, str, str]:
        """Return a file, the number of one of its options, key and value; the first line if there is none."""
        lines = self.file(chance)
        numbers = [number for number, line in enumerate(lines) if _is_option(line)]
        if not numbers:
            lines.append("type=data")
            numbers = [len(lines) - 1]
        number = chance.choice(numbers)
        key, _, value = lines[number].partition("=")
        return lines, number, key.strip(), value.strip()

    def names(self) -> list[str]:
        """Return the names of the layers."""
        return _names(self.layers) or ["data"]


Mutator = Callable[[Draft, random.Random], None]


def _is_option(line: str) -> bool:
    return "=" in line and line[0] not in "#; \t["


def _names(lines: Lines) -> list[str]:
    return [line[1:].partition("]")[0] for line in lines if line.startswith("[")]


def _starts(lines: Lines) -> list[int]:
    return [number for number, line in enumerate(lines) if line.startswith("[")] or [0]


def _section(lines: Lines, chance: random.Random) -> slice:
    """Return where one of the sections is."""
    starts = [*_starts(lines), len(lines)]
    number = chance.randrange(len(starts) - 1)
    return slice(starts[number], starts[number + 1])


def _misspelt(word: str, chance: random.Random) -> str:
    at = chance.randrange(len(word) + 1)
    changes = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at : at + 1] * 2 + word[at + 1 :],
        word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :],
        word[:at] + chance.choice("aeX_1 ") + word[at:],
        word.swapcase(),
    )
    return chance.choice(changes)


def _word(draft: Draft, chance: random.Random) -> str:
    if chance.random() < 0.03:
        return chance.choice(("", "x", "exp[", "tanh[", "m.f(")) + chance.choice(REPEATED) * 20_000
    return chance.choice(chance.choice((*WORDS, draft.names())))


def rename_key(draft: Draft, chance: random.Random) -> None:
    """A key misspelt, or another one instead."""
    lines, number, key, value = draft.option(chance)
    new = _misspelt(key, chance) if chance.random() < 0.6 else chance.choice(KEYS)
    lines[number] = f"{new}{chance.choice('=:')}{value}"


def change_value(draft: Draft, chance: random.Random) -> None:
    """A value that may be meant for something else, or for nothing."""
    lines, number, key, _ = draft.option(chance)
    lines[number] = f"{key}={_word(draft, chance)}"


def borrow_value(draft: Draft, chance: random.Random) -> None:
    """A value that some other layer has for the same key."""
    lines, number, key, value = draft.option(chance)
    lines[number] = f"{key}={chance.choice(draft.values.get(key.lower(), [value]))}"


def swap_values(draft: Draft, chance: random.Random) -> None:
    """Two options with each other's values."""
    lines, number, key, value = draft.option(chance)
    others, other, other_key, other_value = draft.option(chance)
    lines[number], others[other] = f"{key}={other_value}", f"{other_key}={value}"


def change_number(draft: Draft, chance: random.Random) -> None:
    """One of the numbers of a value a little off, or far off."""
    lines, number, key, value = draft.option(chance)
    items = value.split(",")
    at = chance.randrange(len(items))
    try:
        known = float(items[at])
        near = [known - 1, known + 1, known * 2, known // 2, -known, known / 10]
        items[at] = f"{chance.choice(near):g}" if chance.random() < 0.7 else chance.choice(NUMBERS)
    except ValueError:
        items[at] = chance.choice(NUMBERS)
    lines[number] = f"{key}={','.join(items)}"


def change_list(draft: Draft, chance: random.Random) -> None:
    """A list with an item more or less, or thousands of them."""
    lines, number, key, value = draft.option(chance)
    items = value.split(",")
    if chance.random() < 0.1:
        items *= chance.choice(BOMB_SIZES)
    elif chance.random() < 0.5:
        items.insert(chance.randrange(len(items) + 1), chance.choice([*items, "", "1", "x"]))
    else:
        del items[chance.randrange(len(items))]
    lines[number] = f"{key}={','.join(items)}"


def add_key(draft: Draft, chance: random.Random) -> None:
    """A key of the language where it may not belong."""
    lines, number, _, _ = draft.option(chance)
    key = chance.choice(KEYS)
    lines.insert(number, f"{key}={chance.choice(draft.values.get(key.lower(), ['1']))}")


def change_type(draft: Draft, chance: random.Random) -> None:
    """A layer of another type."""
    numbers = [number for number, line in enumerate(draft.layers) if line.lower().startswith("type")]
    if numbers:
        draft.layers[chance.choice(numbers)] = f"type={chance.choice(TYPES)}"


def change_inputs(draft: Draft, chance: random.Random) -> None:
    """Other inputs, costs to report with, or a matrix shared: layers above, below, itself, or none at all."""
    names = draft.names()
    key = chance.choice(["inputs", "inputs", "inputs", "children", "weightSource"])
    several = chance.choices(names, k=chance.choice((1, 1, 2, 3, 9)))
    if key == "weightSource":
        several = [chance.choice(("", name, f"{name}[{chance.choice((0, 1, 10**9))}]")) for name in several]
    if chance.random() < 0.3:
        several[0] = _misspelt(several[0], chance)
    numbers = [number for number, line in enumerate(draft.layers) if line.lower().startswith("inputs")]
    at = chance.choice(numbers) if numbers else len(draft.layers)
    draft.layers[at : at + (key == "inputs")] = [f"{key}={','.join(several)}"]


def cut_lines(draft: Draft, chance: random.Random) -> None:
    """Some lines, or all behind one, gone."""
    lines = draft.file(chance)
    at = chance.randrange(len(lines) + 1)
    del lines[at : at + chance.choice((1, 1, 1, 2, 5, len(lines)))]


def move_lines(draft: Draft, chance: random.Random) -> None:
    """Some lines elsewhere, in the other file perhaps, or there as well."""
    lines, others = draft.file(chance), draft.file(chance)
    at, there = chance.randrange(len(lines) + 1), chance.randrange(len(others) + 1)
    moved = lines[at : at + chance.choice((1, 1, 2, 5, 20))]
    if chance.random() < 0.5:
        del lines[at : at + len(moved)]
    others[there:there] = moved


def change_line(draft: Draft, chance: random.Random) -> None:
    """A line that is a comment, a continuation, or nothing any more."""
    lines = draft.file(chance)
    if lines:
        at = chance.randrange(len(lines))
        start, end = chance.choice(LINE_STARTS), chance.choice(LINE_STARTS)
        cut = chance.randrange(len(lines[at]) + 1)
        line = lines[at]
        if chance.random() < 0.1:
            end = chance.choice(REPEATED) * 20_000
        lines[at] = chance.choice((start + line, line[:cut], line[cut:], line[:cut] + end + line[cut:]))


def change_section(draft: Draft, chance: random.Random) -> None:
    """A section with another name, gone, repeated, or moved."""
    lines = draft.file(chance)
    if not lines:
        return
    place = _section(lines, chance)
    section = lines[place]
    action = chance.randrange(4)
    if action < 2:
        name = section[0][1:].partition("]")[0] or "x"
        names = [_misspelt(name, chance), *draft.names(), "DEFAULT", f"{name}_neuron", "\x1b[2J", "x" * 3000]
        lines[place.start] = f"[{chance.choice(names)}]"
    elif action == 2:
        del lines[place]
    if action % 2:
        there = chance.choice(_starts(lines))
        lines[there:there] = section


def refer(draft: Draft, chance: random.Random) -> None:
    """A value behind a chain of `%(...)s`, which may branch, grow, or lead back."""
    lines, number, key, value = draft.option(chance)
    length = chance.choice(CHAIN_LENGTHS)
    fold = chance.choice((1, 1, 2, 50))
    end = chance.choice((value, value, "%(k0)s", f"%({key})s", "%(nowhere)s", "%", "x" * 999))
    chain = [f"k{link}={f'%(k{link + 1})s' * fold}" for link in range(length)]
    lines[number : number + 1] = [f"{key}=%(k0)s", *chain, f"k{length}={end}"]


def replace_everywhere(draft: Draft, chance: random.Random) -> None:
    """Another number, or another name of a layer, wherever it stands."""
    names = draft.names()
    found = NUMBER.findall(" ".join(draft.layers)) or ["1"]
    if chance.random() < 0.3:
        old = chance.choice(names)
        new = chance.choice(
            (f"{chance.choice(names)}_neuron", _misspelt(old, chance), "é", "x.y", "a b", "%")
        )
    else:
        old = chance.choice(found)
        new = chance.choice((str(int(old[:9]) * 2), str(int(old[:9]) + 1), *found))
    whole = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)")
    for lines in (draft.layers, draft.params):
        lines[:] = [whole.sub(lambda match: new, line) for line in lines]


def drop_layer(draft: Draft, chance: random.Random) -> None:
    """A layer gone from both files; its readers may read what it read."""
    name = chance.choice(draft.names())
    inputs = ""
    for lines in (draft.layers, draft.params):
        if f"[{name}]" in lines:
            start = lines.index(f"[{name}]")
            end = next((at for at in _starts(lines) if at > start), len(lines))
            inputs = next((line[7:] for line in lines[start:end] if line.startswith("inputs=")), inputs)
            del lines[start:end]
    if inputs and chance.random() < 0.7:
        whole = re.compile(rf"(?<=[=,]){re.escape(name)}(?=,|$)")
        draft.layers[:] = [whole.sub(lambda match: inputs, line) for line in draft.layers]


def add_defaults(draft: Draft, chance: random.Random) -> None:
    """Values for all layers."""
    lines = draft.file(chance)
    keys = chance.choices(KEYS, k=chance.choice((1, 3, 10)))
    values = [chance.choice(draft.values.get(key.lower(), ["1"])) for key in keys]
    at = chance.choice(_starts(lines))
    lines[at:at] = ["[DEFAULT]", *(f"{key}={value}" for key, value in zip(keys, values, strict=True))]


def add_layers(draft: Draft, chance: random.Random) -> None:
    """Many copies of a layer: beside each other, in a chain, each reading all, or each with a typo."""
    names = [name for name in _names(draft.layers) if name != "DEFAULT"]
    if not names:
        return
    name = chance.choice(names)
    style = chance.choice(("beside", "chain", "all", "typo"))
    number = chance.choice(LAYER_NUMBERS)
    for lines in (draft.layers, draft.params):
        if f"[{name}]" in lines:
            start = lines.index(f"[{name}]") + 1
            following = [at for at in _starts(lines) if at >= start]
            section = lines[start : following[0] if following else len(lines)]
            for copy in range(number):
                lines += [f"[{name}{copy}]", *(_reading(line, name, style, copy) for line in section)]


def _reading(line: str, name: str, style: str, copy: int) -> str:
    if not line.lower().startswith("inputs") or style == "beside" or (copy == 0 and style != "typo"):
        return line
    if style == "all":
        return f"inputs={','.join(f'{name}{other}' for other in range(min(copy, 20)))}"
    return f"inputs={name}{copy - 1}" if style == "chain" else f"inputs={name}{copy}x"


def mix(draft: Draft, chance: random.Random) -> None:
    """Layers or parameters of another pair, as well or instead."""
    layers, params = chance.choice(draft.seeds)
    action = chance.randrange(4)
    if action != 0:
        draft.params = [*(draft.params if action == 1 else []), *params]
    if action < 2:
        draft.layers += layers
    if action == 3:
        draft.layers, draft.params = draft.params, draft.layers


MUTATORS: Mapping[str, tuple[Mutator, float]] = {
    "rename_key": (rename_key, 3),
    "change_value": (change_value, 4),
    "borrow_value": (borrow_value, 3),
    "swap_values": (swap_values, 2),
    "change_number": (change_number, 6),
    "change_list": (change_list, 2),
    "add_key": (add_key, 2),
    "change_type": (change_type, 2),
    "change_inputs": (change_inputs, 4),
    "cut_lines": (cut_lines, 2),
    "move_lines": (move_lines, 2),
    "change_line": (change_line, 2),
    "change_section": (change_section, 3),
    "replace_everywhere": (replace_everywhere, 6),
    "drop_layer": (drop_layer, 3),
    "refer": (refer, 1),
    "add_defaults": (add_defaults, 1),
    "add_layers": (add_layers, 0.5),
    "mix": (mix, 1),
}
"""The ways by name, and how often each is taken."""


def junk(content: bytes, chance: random.Random) -> bytes:
    """Return the bytes of a file damaged on its way: cut, encoded otherwise, or with junk in them."""
    at = chance.randrange(len(content) + 1)
    ways = (
        lambda: content[:at],
        lambda: content[:at] + chance.randbytes(chance.choice((1, 4, 300))) + content[at:],
        lambda: content.replace(b"\n", chance.choice((b"\r\n", b"\r", b"\n\n", b"\x85", b" ", b"\x00"))),
        lambda: b"\xef\xbb\xbf" * chance.choice((1, 2)) + content,
        lambda: content.decode(errors="replace").encode(chance.choice(("utf-16", "utf-32", "utf-8"))),
        lambda: chance.randbytes(chance.choice((0, 1, 300, 20_000))),
        lambda: (
            content[:at] + bytes([chance.choice((0, 9, 13, 27, 37, 59, 91, 93, 133, 255))]) + content[at:]
        ),
        lambda: content * chance.choice((2, 10)),
    )
    return chance.choice(ways)()
