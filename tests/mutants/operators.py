"""What can be wrong with a line: every small change of a module's functions, one at a time."""

import ast
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

COMPARED = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COUNTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
}
NAMED = {"min": "max", "max": "min", "any": "all", "all": "any"}


Words = Callable[[], str]


class Mutant(NamedTuple):
    """One change: where it is, in which function, and what became of what."""

    module: str
    function: str
    line: int
    lines: range
    was: str
    became: str

    @property
    def key(self) -> str:
        return f"{self.function}: {self.was} -> {self.became}"


def mutants(module: str, source: str) -> Iterator[tuple[Mutant, ast.FunctionDef]]:
    """Every mutant of the functions of a module, with the function as it is for as long as the mutant is held.

    What stands outside of functions is data, and left alone.
    """
    for function, place in _functions(ast.parse(source)):
        for node in list(_parts(place)):
            for words, container, key, changed in list(_changes(node)):
                was, old = words(), _exchanged(container, key, changed)
                line = next(part.lineno for part in ast.walk(node) if hasattr(part, "lineno"))
                ast.fix_missing_locations(place)
                lines = range(place.lineno, (place.end_lineno or place.lineno) + 1)
                yield Mutant(module, function, line, lines, was, words()), place
                _exchanged(container, key, old)


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """All that is executed; annotations and signatures are the type checker's business."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "args") and not isinstance(node, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _parts(child)


def _exchanged(container: ast.AST | list, key: str | int, value: object) -> object:
    """Put a value in its place, and hand back what was there."""
    if isinstance(container, list):
        old, container[key] = container[key], value
    else:
        old = getattr(container, key)
        setattr(container, key, value)
    return old


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """The outermost functions and methods, by qualified name; inner ones belong to them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")


def _changes(node: ast.AST) -> Iterator[tuple[Words, ast.AST | list, str | int, object]]:
    """Each way to spoil this node: how it reads, and what is put where."""
    match node:
        case ast.Compare(ops=ops):
            for n, op in enumerate(ops):
                yield _of(node), ops, n, COMPARED[type(op)]()
        case ast.BoolOp(op=op):
            yield _of(node), node, "op", ast.Or() if isinstance(op, ast.And) else ast.And()
        case ast.BinOp(op=op) if type(op) in COUNTED:
            yield _of(node), node, "op", COUNTED[type(op)]()
        case ast.Constant(value=bool() as value):
            yield _of(node), node, "value", not value
        case ast.Constant(value=int() as value):
            yield _of(node), node, "value", value + 1
        case ast.Call(func=ast.Name(id=name) as func) if name in NAMED:
            yield _of(node), func, "id", NAMED[name]
        case ast.If() | ast.IfExp() | ast.While() if not _turns_itself(node.test):
            yield _of_part(node, "test"), node, "test", _no(node.test)
        case ast.match_case(guard=ast.AST() as guard):
            yield _of_part(node, "guard"), node, "guard", _no(guard)
        case ast.comprehension(ifs=ifs):
            for n in (n for n, test in enumerate(ifs) if not _turns_itself(test)):
                yield partial(_nth, ifs, n), ifs, n, _no(ifs[n])
    for branch in ("body", "orelse"):
        statements = getattr(node, branch, None)
        for n, statement in enumerate(statements if isinstance(statements, list) else ()):
            if _acts(statement):
                yield partial(_nth, statements, n), statements, n, ast.Pass()


def _acts(statement: ast.AST) -> bool:
    """Without it, something does not happen; a name that is not bound would only be an error."""
    match statement:
        case ast.Expr(value=ast.Call()) | ast.AugAssign():
            return True
        case ast.Assign(targets=targets):
            return any(
                isinstance(t, ast.Attribute | ast.Subscript) for target in targets for t in ast.walk(target)
            )
    return False


def _turns_itself(test: ast.expr) -> bool:
    """A single comparison is turned round by its operator already."""
    return isinstance(test, ast.Compare) and len(test.ops) == 1


def _no(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _of(node: ast.AST) -> Words:
    return lambda: ast.unparse(node)


def _of_part(node: ast.AST, part: str) -> Words:
    return lambda: ast.unparse(getattr(node, part))


def _nth(nodes: list, n: int) -> str:
    return ast.unparse(nodes[n])
