"""Which codes a view can refuse with, worked out from the source: what it and all that it calls can raise.

A reading of the syntax, not of types. A name is followed where it is bound by an import, a definition or an annotation;
a method of an object whose class is not known may be any method of that name. What a `try` catches is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ERRORS = ("app.services.base.errors.DomainError", "app.domain.ledger.LedgerError")
"""Every error with a code is a kind of one of these."""
REFUSED = "Refused"
"""What the ledger returns instead of raising: its second argument is the code."""
CANNOT_COME_OUT = {
    # Keys, amounts and names of what facts book are ours: another use of such a key would be a defect.
    "app.services.facts.apply.apply_fact": ("KeyConflict", "InsufficientFunds", "InvalidTransfer"),
    # Only transfers that take from a wallet and must not fail meet this: nobody asks for one over the API.
    "app.services.ledger.postings.post": ("InsufficientFunds",),
}
"""Errors of the ledger that a function raises only where our own code is wrong."""
FOLLOWED_BY_NAME = 3
"""A method of an unknown object is followed if at most so many classes have one of that name."""
ANSWERED = "app.web.ledger.answered"
"""Turns a `Refused` into a problem document."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    name: str
    tree: ast.Module
    package: bool
    names: dict[str, str] = field(default_factory=dict)
    """What a name of the module stands for, in full."""


@dataclass(frozen=True)
class Effects:
    """What a piece of code can raise by itself, and what it calls where which errors are caught."""

    raised: frozenset[str]
    called: frozenset[tuple[str, frozenset[str]]]


class Source:
    """All modules of a package, with what their functions can raise."""

    def __init__(self, folder: Path) -> None:
        self._root = folder.parent
        self.modules: dict[str, Module] = {}
        self.functions: dict[str, tuple[Module, str | None, _Function]] = {}
        self.classes: dict[str, tuple[Module, ast.ClassDef]] = {}
        self.values: dict[str, tuple[Module, ast.expr]] = {}
        for path in sorted(folder.rglob("*.py")):
            self._read(path)
        self.methods: dict[str, set[str]] = {}
        for name, (_, owner, node) in self.functions.items():
            if owner is not None:
                self.methods.setdefault(node.name, set()).add(name)

    def _read(self, path: Path) -> None:
        parts = path.relative_to(self._root).with_suffix("").parts
        package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if package else parts)
        module = Module(name, ast.parse(path.read_text(encoding="utf-8")), package)
        self.modules[name] = module
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                module.names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        for node in module.tree.body:
            if isinstance(node, _Function):
                self._define(module, None, node)
            elif isinstance(node, ast.ClassDef):
                full = module.names[node.name] = f"{name}.{node.name}"
                self.classes[full] = (module, node)
                for member in node.body:
                    if isinstance(member, _Function):
                        self._define(module, full, member)
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name):
                        module.names[target.id] = f"{name}.{target.id}"
                        self.values[f"{name}.{target.id}"] = (module, node.value)

    def _define(self, module: Module, owner: str | None, node: _Function) -> None:
        full = f"{owner or module.name}.{node.name}"
        if owner is None:
            module.names[node.name] = full
        self.functions[full] = (module, owner, node)

    def full_name(self, module: Module, node: ast.expr) -> str | None:
        """What the name or dotted name stands for, through re-exports; None if it is not one of ours."""
        if isinstance(node, ast.Name):
            return self._target(module.names.get(node.id))
        if isinstance(node, ast.Attribute):
            owner = self.full_name(module, node.value)
            if owner in self.modules:
                return self._target(self.modules[owner].names.get(node.attr) or f"{owner}.{node.attr}")
        return None

    def _target(self, name: str | None) -> str | None:
        for _ in range(5):
            if name is None or name in self.functions or name in self.classes or name in self.modules:
                return name
            module, _, last = name.rpartition(".")
            if name in self.values or module not in self.modules:
                return name
            name = self.modules[module].names.get(last)
        return None

    def is_error(self, name: str | None) -> bool:
        return name is not None and any(base in ERRORS for base in self.line_of(name))

    def line_of(self, name: str) -> Iterator[str]:
        """The class and those that it is made from."""
        yield name
        if name in self.classes:
            module, node = self.classes[name]
            for base in node.bases:
                above = self.full_name(module, base)
                if above is not None:
                    yield from self.line_of(above)

    def code_of(self, error: str) -> str:
        """The class's code, its own or inherited."""
        for name in self.line_of(error):
            module, node = self.classes.get(name, (None, None))
            for member in node.body if node is not None else ():
                if module is None or not isinstance(member, ast.Assign) or ast.unparse(member.targets[0]) != "code":
                    continue
                if isinstance(member.value, ast.Attribute):  # that of another error
                    return self.code_of(self.full_name(module, member.value.value) or "")
                return str(ast.literal_eval(member.value))
        raise LookupError(error)

    def member(self, owner: str, name: str) -> str | None:
        """The class of a member of objects of that class, where the class's body says so."""
        if owner not in self.classes:
            return None
        module, node = self.classes[owner]
        for line in node.body:
            if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) == name:
                known = self.full_name(module, line.annotation)
                return known if known in self.classes else None
        return None

    @cached_property
    def raised(self) -> dict[str, frozenset[str]]:
        """By function: the errors (full names) and codes of `Refused` (plain words) that come out of it."""
        effects = {name: Reading(self, *found).effects() for name, found in self.functions.items()}
        out = {name: effect.raised for name, effect in effects.items()}
        changed = True
        while changed:
            changed = False
            for name, effect in effects.items():
                more = set(out[name])
                for called, caught in effect.called:
                    more |= {error for error in out.get(called, ()) if not self._is_caught(error, caught)}
                more -= {f"app.domain.ledger.{error}" for error in CANNOT_COME_OUT.get(name, ())}
                if len(more) > len(out[name]):
                    out[name], changed = frozenset(more), True
        return out

    def _is_caught(self, error: str, caught: frozenset[str]) -> bool:
        return bool(caught) and not caught.isdisjoint(self.line_of(error))

    def codes(self, function: str) -> frozenset[str]:
        """The codes that come out of the view, as the ledger or the use case names them. A `Refused` of the ledger is
        one only where the view hands it to `answered`; elsewhere it is a part of the answer."""
        found = {self.code_of(each) for each in self.raised[function] if "." in each}
        if ANSWERED in self._reached(function):
            found |= {each for each in self.raised[function] if "." not in each}
        return frozenset(found - {"domain_error", "ledger_error"})

    def _reached(self, function: str) -> set[str]:
        """The functions of the web that the view calls, directly or not."""
        seen: set[str] = set()
        left = [function]
        while left:
            name = left.pop()
            if name not in seen and name.startswith("app.web.") and name in self.functions:
                seen.add(name)
                left += [called for called, _ in Reading(self, *self.functions[name]).effects().called]
        return seen


class Reading:
    """One function, read from its top to its end."""

    def __init__(self, source: Source, module: Module, owner: str | None, node: _Function) -> None:
        self.source, self.module, self.owner, self.node = source, module, owner, node
        self.raised: set[str] = set()
        self.called: set[tuple[str, frozenset[str]]] = set()
        self.types: dict[str, str] = {}
        self.inner: dict[str, _Function] = {}
        for inner in ast.walk(node):
            if isinstance(inner, ast.arg) and inner.annotation is not None:
                self._bind(inner.arg, inner.annotation)
        if owner is not None and node.args.args:
            self.types[node.args.args[0].arg] = owner

    def _bind(self, name: str, annotation: ast.expr) -> None:
        if isinstance(annotation, ast.BinOp):
            annotation = annotation.left
        known = self.source.full_name(self.module, annotation)
        if known in self.source.classes:
            self.types[name] = known

    def effects(self) -> Effects:
        self._block(self.node.body, frozenset())
        return Effects(frozenset(self.raised), frozenset(self.called))

    def _block(self, nodes: list[ast.stmt], caught: frozenset[str]) -> None:
        for node in nodes:
            self._visit(node, caught)

    def _visit(self, node: ast.AST, caught: frozenset[str]) -> None:
        if isinstance(node, ast.Try):
            ends = frozenset(
                name
                for handler in node.handlers
                if not any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(handler))
                for name in self._types_of(handler)
            )
            self._block(node.body, caught | ends)
            for handler in node.handlers:
                self._block(handler.body, caught)
            self._block([*node.orelse, *node.finalbody], caught)
            return
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                self._visit(node.value, caught)
            return
        if isinstance(node, _Function):
            self.inner[node.name] = node
            return
        if isinstance(node, ast.Name) and node.id in self.inner:
            self._block(self.inner.pop(node.id).body, caught)  # what it raises comes out where it is used
            return
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
            self._visit(node.args[0], caught)
            return
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == REFUSED:
            code = node.args[1] if len(node.args) > 1 else None
            if isinstance(code, ast.Constant):
                self.raised.add(str(code.value))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            self._call(node.func, caught)
        if isinstance(node, ast.Name | ast.Attribute):
            self._reference(node, caught)
        for child in ast.iter_child_nodes(node):
            self._visit(child, caught)

    def _types_of(self, handler: ast.ExceptHandler) -> Iterator[str]:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type] if handler.type else []
        for kind in kinds:
            name = self.source.full_name(self.module, kind)
            if name is not None:
                yield name

    def _reference(self, node: ast.Name | ast.Attribute, caught: frozenset[str]) -> None:
        name = self.source.full_name(self.module, node)
        if name is not None:
            self._use(name, caught)
        elif isinstance(node, ast.Attribute):
            self.called |= {(method, caught) for method in self._own(node)}

    def _call(self, node: ast.Attribute, caught: frozenset[str]) -> None:
        """A method: of the object's class, or of any class if that is not known."""
        if self.source.full_name(self.module, node) is None and self._type(node.value) is None:
            found = self.source.methods.get(node.attr, set())
            self.called |= {(method, caught) for method in found if len(found) <= FOLLOWED_BY_NAME}

    def _use(self, name: str, caught: frozenset[str]) -> None:
        source = self.source
        if source.is_error(name):
            if caught.isdisjoint(source.line_of(name)):
                self.raised.add(name)
        elif name in source.classes:
            self.called |= {(f"{name}.{made}", caught) for made in ("__init__", "__post_init__", "__new__")}
        elif name in source.values:
            module, value = source.values[name]
            for inner in ast.walk(value):
                if isinstance(inner, ast.Name) and source.is_error(source.full_name(module, inner)):
                    self.raised.add(str(source.full_name(module, inner)))
        else:
            self.called.add((name, caught))

    def _own(self, node: ast.Attribute) -> Iterator[str]:
        """The method or property of that name of the object's class, where that is known."""
        owner = self._type(node.value)
        for each in self.source.line_of(owner) if owner else ():
            if f"{each}.{node.attr}" in self.source.functions:
                yield f"{each}.{node.attr}"
                return

    def _type(self, node: ast.expr) -> str | None:
        """The class of the object, where an annotation says so."""
        if isinstance(node, ast.Name):
            return self.types.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._type(node.value)
            return self.source.member(owner, node.attr) if owner else None
        if isinstance(node, ast.Call):
            made = self.source.full_name(self.module, node.func)
            if made in self.source.classes:
                return made
            if made in self.source.functions:
                module, _, function = self.source.functions[made]
                known = function.returns and self.source.full_name(module, function.returns)
                return known if known in self.source.classes else None
        return None
