"""Read YAML with plain text keys and the line of every key, for messages that name the line; torch-free.

PyYAML follows YAML 1.1, where the keys ``on`` and ``off`` are booleans and a repeated key silently wins. Both would
quietly change a design, so keys are taken as they are written and repeated ones are faults.
"""

from typing import Any, NamedTuple

import yaml

from balora.errors import ConfigError

Path = tuple[str, ...]


class Document(NamedTuple):
    """The content of a YAML file, the line of every key by its path, and the faults found while reading."""

    content: dict[str, Any]
    lines: dict[Path, int]
    faults: list[tuple[int, str]]

    def line(self, dotted: str) -> int | None:
        """Return the line of the longest known path that ``dotted`` starts with (keys may hold dots themselves)."""
        found = [path for path in self.lines if f"{dotted}.".startswith(".".join(path) + ".")]
        return self.lines[max(found, key=len)] if found else None


def parse(text: str, source: str) -> Document:
    """Read one YAML mapping.

    Raises:
        ConfigError: the text is not YAML, or its top level is not a mapping.
    """
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ConfigError(f"{source}: YAML aliases (*name) are not read here: write the settings out")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{source}: expected a mapping of settings (`study: …`, `base: …`) at the top level")
        document = Document({}, {}, [])
        document.content.update(_mapping(root, (), document))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{place}: not YAML: {getattr(error, 'problem', None) or error}") from None
    return document


def _mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in content:
            document.faults.append((line, f"{'.'.join((*path, key))}: given twice"))
        document.lines[*path, key] = line
        content[key] = _value(value_node, (*path, key), document)
    return content


def _value(node: yaml.Node, path: Path, document: Document) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, path, document) for item in node.value]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    finally:
        loader.dispose()
