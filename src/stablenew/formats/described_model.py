"""Models that are quick to import: what most programs never use is made when it is first needed.

A validator is built when its model is first used. Descriptions of fields are the docstrings below them; they are read
when a JSON Schema is written, once a release. (pydantic's `use_attribute_docstrings` reads the source each time a class
is made, a fifth of the time that importing our formats takes.)
"""

import ast
import inspect
import itertools
import textwrap
import threading
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema


_BUILDING: Final = threading.RLock()


class DescribedModel(BaseModel):
    """A model that is built when it is first used, and whose JSON Schema describes its fields."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        """Build the validator, one thread at a time; None if that has been done.

        pydantic removes the parts of a model before it builds them, so a second thread that came in the middle would
        find those of the parent class, and validate by them.
        """
        with _BUILDING:
            depth = options.pop("_parent_namespace_depth", 2)
            return super().model_rebuild(_parent_namespace_depth=depth + 1, **options)

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
    return {_name_of(statement): inspect.cleandoc(words) for statement, below in pairs if (words := _text_of(below))}


def _name_of(statement: ast.stmt) -> str:
    """What an annotated field is called; empty for anything else."""
    target = statement.target if isinstance(statement, ast.AnnAssign) else None
    return target.id if isinstance(target, ast.Name) else ""


def _text_of(statement: ast.stmt) -> str:
    """The text that a statement is and nothing else."""
    constant = statement.value if isinstance(statement, ast.Expr) else None
    text = constant.value if isinstance(constant, ast.Constant) else None
    return text if isinstance(text, str) else ""
