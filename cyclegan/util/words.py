"""Values of a config that may also be a word, such as `auto`, in YAML and on the command line."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from tyro.constructors import PrimitiveConstructorSpec

from cyclegan.util.yaml import parse_yaml


class OrWords(PrimitiveConstructorSpec[Any]):
    """An annotation for a field that is one of `words` or of type `kind`, which `what` describes in error messages."""

    def __init__(self, kind: Any, *words: str, what: str) -> None:
        self.adapter, self.words, self.what = TypeAdapter(kind), words, what
        super().__init__(
            nargs=1,
            metavar="|".join((*words, "YAML")),
            instance_from_str=self._read,
            is_instance=lambda value: True,
            str_from_instance=lambda value: [_flow(self._plain(value))],
        )

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._validated, serialization=core_schema.plain_serializer_function_ser_schema(self._plain)
        )

    def _validated(self, value: Any) -> Any:
        if isinstance(value, str) and value in self.words:
            return value
        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            kind, message = error.errors()[0]["type"], error.errors()[0]["msg"]
        if not kind.startswith(("greater", "less")):  # otherwise the message names the limit
            message = f"Input should be {', '.join(self.words)} or {self.what}"
        raise PydanticCustomError("word", "{message}", {"message": message})

    def _plain(self, value: Any) -> Any:
        return value if isinstance(value, str) else self.adapter.dump_python(value, mode="json")

    def _read(self, words: list[str]) -> Any:
        try:
            return self._validated(parse_yaml(words[0]))
        except PydanticCustomError as error:
            raise ValueError(f"{error.message()[0].lower()}{error.message()[1:]}") from None


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()
