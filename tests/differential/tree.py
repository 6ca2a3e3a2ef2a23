"""Statements as trees, so that a failing one can be made smaller.

    Node("integer", ["(", Node("integer", ["a"]), " + ", Node("integer", ["1"]), ")"])

A Node's text is its parts joined. Its `type` says by which of its descendants it may be replaced;
an `optional` one may vanish; the items of an `Items` may be dropped one by one.
"""
import re


class Node:
    def __init__(self, type, parts, optional=False):
        self.type, self.parts, self.optional = type, parts, optional

    def __str__(self):
        return "".join(map(str, self.parts))

    def copy(self):
        fresh = object.__new__(type(self))
        fresh.__dict__ = dict(self.__dict__)
        fresh.parts = [part.copy() if isinstance(part, Node) else part for part in self.parts]
        return fresh

    def walk(self):
        """Every node of the tree, this one first."""
        yield self
        for part in self.parts:
            if isinstance(part, Node):
                yield from part.walk()


class Items(Node):
    """Parts with a separator between them, at least one of which must stay."""

    def __init__(self, parts, separator=", "):
        super().__init__(None, parts)
        self.separator = separator

    def __str__(self):
        return self.separator.join(map(str, self.parts))


def smaller(root):
    """Smaller versions of a tree, the smallest first: fresh copies, each one step away."""
    count = sum(1 for _ in root.walk())
    candidates = []
    for at in range(count):
        node = nth(root, at)
        if node.optional and str(node):
            candidates.append((len(str(node)), at, "empty", None))
        if isinstance(node, Items) and len(node.parts) > 1:
            half = len(node.parts) // 2
            cuts = [(0, half), (half, len(node.parts))] if half > 1 else []
            if len(node.parts) <= 24:
                cuts += [(i, i + 1) for i in range(len(node.parts))]
            for first, last in cuts:
                gone = sum(len(str(part)) for part in node.parts[first:last])
                candidates.append((gone, at, "cut", (first, last)))
        elif node.type:
            for other, inside in enumerate(node.walk()):
                if other and inside.type == node.type:
                    candidates.append((len(str(node)) - len(str(inside)), at, "inside", other))
    for _, at, how, detail in sorted(candidates, key=lambda c: -c[0]):
        fresh = root.copy()
        node = nth(fresh, at)
        if how == "empty":
            node.parts = []
            node.__class__ = Node
        elif how == "cut":
            del node.parts[detail[0]:detail[1]]
        else:
            inside = list(node.walk())[detail]
            node.__class__ = inside.__class__
            node.__dict__ = dict(inside.__dict__)
        yield fresh


def nth(root, at):
    for number, node in enumerate(root.walk()):
        if number == at:
            return node
    return None


def shape(text):
    """A statement's text without its literals and names, to group alike failures."""
    text = re.sub(r"'(?:[^']|'')*'", "'s'", text)
    text = re.sub(r"\b[a-z]\d+\b", "x", text)
    text = re.sub(r"\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b", "9", text)
    return re.sub(r"\s+", " ", text)
