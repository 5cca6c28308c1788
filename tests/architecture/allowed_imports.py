"""A kind of contract for import-linter (`.importlinter`): some modules import what a list names, and nothing else.

The linter's own kinds forbid what somebody has thought of.  What a list does not name is refused here, whatever it is.
"""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


def is_within(module: str, pattern: str) -> bool:
    """Whether a module is one that a pattern names, or lies in it; `*` stands for one part of a name."""
    parts, wanted = module.split("."), pattern.split(".")
    return len(parts) >= len(wanted) and all(w in ("*", part) for part, w in zip(parts, wanted, strict=False))


def is_test(module: str) -> bool:
    return module.rpartition(".")[2].startswith("test_")


class AllowedImportsContract(Contract):
    """Each of `modules`, its tests left out, imports only what lies in one of `allowed`.

    Both are names of modules or packages, with `*` for any one part; packages of others are known by their first part.
    `except_modules` are not judged; with `of` only imports of what lies in these packages are.
    """

    type_name = "allowed_imports"

    modules = fields.ListField(subfield=fields.StringField())
    allowed = fields.ListField(subfield=fields.StringField())
    of = fields.ListField(subfield=fields.StringField(), required=False, default=[])
    except_modules = fields.ListField(subfield=fields.StringField(), required=False, default=[])

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        found = []
        judged = 0
        for module in sorted(graph.modules):
            if is_test(module) or graph.is_module_squashed(module) or not self._judges(module):
                continue
            judged += 1
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                if not self._allows(imported):
                    lines = graph.get_import_details(importer=module, imported=imported)
                    found.append((module, imported, sorted(detail["line_number"] for detail in lines)))
        return ContractCheck(kept=judged > 0 and not found, metadata={"found": found, "judged": judged})

    def _allows(self, imported: str) -> bool:
        if self.of and not any(is_within(imported, pattern) for pattern in self.of):  # type: ignore[attr-defined]
            return True
        return any(is_within(imported, pattern) for pattern in self.allowed)  # type: ignore[attr-defined]

    def _judges(self, module: str) -> bool:
        if any(is_within(module, pattern) for pattern in self.except_modules):  # type: ignore[attr-defined]
            return False
        return any(is_within(module, pattern) for pattern in self.modules)  # type: ignore[attr-defined]

    def render_broken_contract(self, check: ContractCheck) -> None:
        if not check.metadata["judged"]:
            output.print_error("There is no such module: the rule judges nothing.")
        for importer, imported, lines in check.metadata["found"]:
            output.print_error(f"{importer} may not import {imported} (l. {', '.join(map(str, lines))})")
