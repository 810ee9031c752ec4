"""Models whose fields are described by the docstrings below them, in the JSON Schema and only there.

pydantic's `use_attribute_docstrings` reads them from the source each time a class is made, which is a fifth of the time
that importing our formats takes. Schemas are written once a release.
"""

import ast
import inspect
import itertools
import textwrap
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class DescribedModel(BaseModel):
    """A model whose JSON Schema says what its fields mean."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> dict[str, Any]:
        """The schema that pydantic makes, with descriptions."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        docs = read_field_docs(cls)
        for name, field in cls.model_fields.items():
            described = properties.get(field.alias, properties.get(name))
            if described is not None and name in docs:
                described.setdefault("description", docs[name])
        return schema


def read_field_docs(model: type[BaseModel]) -> dict[str, str]:
    """What stands below each field of a model, or of what it inherits from, in the source."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, DescribedModel):
            found |= _read_own(base)
    return found


def _read_own(model: type) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101
    pairs = itertools.pairwise(definition.body)
    return {_name_of(one): inspect.cleandoc(words) for one, below in pairs if (words := _text_of(below))}


def _name_of(statement: ast.stmt) -> str:
    """What an annotated field is called; empty for anything else."""
    target = statement.target if isinstance(statement, ast.AnnAssign) else None
    return target.id if isinstance(target, ast.Name) else ""


def _text_of(statement: ast.stmt) -> str:
    """The text that a statement is and nothing else."""
    constant = statement.value if isinstance(statement, ast.Expr) else None
    text = constant.value if isinstance(constant, ast.Constant) else None
    return text if isinstance(text, str) else ""
