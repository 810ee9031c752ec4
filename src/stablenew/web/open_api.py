"""The API described in OpenAPI 3.1, from the very table that serves it."""

import re
from collections.abc import Iterable
from typing import Any

from stablenew import __version__
from stablenew.web.api import Endpoint, Parameter

_KINDS = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "numbers": {"type": "string", "pattern": "^[0-9]+(,[0-9]+)*$"},
}


def describe_api(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The OpenAPI document."""
    from stablenew.web import request_bodies  # noqa: PLC0415

    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint)
        if endpoint.body is not None:
            schema = getattr(request_bodies, endpoint.body).model_json_schema(
                ref_template="#/components/schemas/{model}"
            )
            schemas |= schema.pop("$defs", {})
            schemas[endpoint.body] = schema
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "StableNew",
            "version": __version__,
            "description": "The API of the page that `stablenew serve` opens. It needs the cookie that its link gives; "
            "requests that change something need the page's own Origin and JSON.",
        },
        "paths": paths,
        "components": {"schemas": schemas | {"Error": _ERROR}},
    }


_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "What was expected, what was found, what to do."},
        "type": {"type": "string"},
        "position": {"type": "integer", "description": "Of a search: the character where it goes wrong, from 0."},
    },
}


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", endpoint.path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    parameters += [_parameter(parameter) for parameter in endpoint.parameters]
    problem = {"description": "It could not be done.", "content": _content("application/json", "Error")}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_"),
        "parameters": parameters,
        "responses": {
            "200": {"description": endpoint.summary, "content": {endpoint.media_type: {}}},
            "404": problem,
            "422": problem,
        },
    }
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": _content("application/json", endpoint.body)}
    return operation


def _content(media_type: str, schema: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = _KINDS[parameter.kind] | ({} if parameter.default is None else {"default": parameter.default})
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": schema}
