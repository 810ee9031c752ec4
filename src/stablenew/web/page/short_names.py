"""Short names for what a script of the page calls its own things: half of a script is names.

Names of variables, parameters, functions and classes that a module declares and does not export are replaced, each by
the same short one wherever it stands in the module, so that no scope need be known: what is one name stays one name. A
name is left alone where it may be something else: a property, a global of browsers, an import, an export.

It reads the style that the page is written in (prettier's), not any script there is.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import count, product
from string import ascii_letters
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<word>[A-Za-z_$\#][\w$]*)
    |(?P<number>\d[\w.]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<mark>=>|\.\.\.|\?\.|\?\?|&&|\|\||[{}()\[\];,<>=!+\-*%&|^~?:.`/])""",
    re.VERBOSE | re.DOTALL,
)
_REGEX: Final = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_TEMPLATE: Final = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*(?:`|\$\{)", re.DOTALL)
_WORDS: Final = """
async await break case catch class const constructor continue debugger default delete do else export extends false
finally for function get if import in instanceof let new null of return set static super switch this throw true try
typeof undefined var void while with yield as from"""
_KEYWORDS: Final = frozenset(_WORDS.split())
_KNOWN: Final = """
alert blur caches close closed confirm crypto document event external fetch find focus frames history length
localStorage location name navigator open opener origin parent performance print prompt screen scroll self
status stop top window arguments NaN Infinity"""
_GLOBALS: Final = frozenset(_KNOWN.split())
_BEFORE_REGEX: Final = frozenset(("return", "typeof", "case", "of", "in", "=>"))
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def shorten_names(source: str) -> str:
    """`source` with short names; as it is where it is not written in the style that is read here."""
    tokens = list(_tokens(source))
    module = _Module(tokens)
    if not module.is_balanced:
        return source
    short = module.short_names()
    parts, at = [], 0
    for place, token in enumerate(tokens):
        name = short.get(token.text) if token.kind == "word" and module.is_reference(place) else None
        if name is None:
            continue
        written = f"{token.text}:{name}" if module.is_shorthand(place) else name
        parts += [source[at : token.at], written]
        at = token.at + len(token.text)
    return "".join([*parts, source[at:]])


def _tokens(source: str) -> Iterator[_Token]:
    """Everything but space; of templates only the expressions."""
    at, before = 0, _Token("mark", ";", 0)
    opened: list[str] = []
    while at < len(source):
        token = _read(source, at, before)
        at += max(1, len(token.text))
        if token.kind == "space":
            continue
        is_end = token.text == "}" and opened[-1:] == ["`"]  # of an expression in a template, which goes on
        yield (before := token)
        if token.text == "{":
            opened.append("{")
        elif token.text == "}" and opened:
            opened.pop()
        if is_end or token.text == "`":
            rest = _TEMPLATE.match(source, at)
            at = rest.end() if rest else len(source)
            if rest and rest[0].endswith("${"):
                opened.append("`")
                yield (before := _Token("mark", "${", at - 2))
            else:
                before = _Token("string", "`", at)


def _read(source: str, at: int, before: _Token) -> _Token:
    match = _TOKEN.match(source, at)
    if match is None:
        return _Token("odd", "", at)
    if match[0] == "/" and _may_be_regex(before) and (regex := _REGEX.match(source, at)):
        return _Token("string", regex[0], at)
    return _Token(str(match.lastgroup), match[0], at)


def _may_be_regex(before: _Token) -> bool:
    if before.kind == "word":
        return before.text in _BEFORE_REGEX
    return before.kind == "mark" and before.text not in (")", "]", "}")


class _Module:
    """The tokens of a module: which brackets each is in, and what each word is."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._partner: dict[int, int] = {}
        self._inner: list[int] = []
        """For each token the bracket that it stands in; -1 for none."""
        self._kind: dict[int, str] = {}
        """What a brace holds: object, class, block or expression."""
        self.is_balanced = self._read_brackets()

    def _text(self, place: int) -> str:
        return self._tokens[place].text if 0 <= place < len(self._tokens) else ""

    def _read_brackets(self) -> bool:
        opened: list[int] = []
        for place, token in enumerate(self._tokens):
            self._inner.append(opened[-1] if opened else -1)
            if token.kind == "odd":
                return False
            if token.kind != "mark":
                continue
            if token.text in ("(", "[", "{", "${"):
                self._kind[place] = self._kind_of(place)
                opened.append(place)
            elif token.text in (")", "]", "}"):
                if not opened:
                    return False
                start = opened.pop()
                self._partner[start], self._partner[place] = place, start
                self._inner[place] = opened[-1] if opened else -1
        return not opened

    def _kind_of(self, place: int) -> str:
        if self._text(place) != "{":
            return "expression"
        before = self._text(place - 1)
        if self._text(place - 2) in ("class", "extends") or self._text(place - 4) == "class":
            return "class"
        if before in (")", "=>", ";", "{", "}", "else", "try", "finally", "do", "", "static"):
            return "block"
        return "object"

    def is_reference(self, place: int) -> bool:
        """Whether a word stands for a variable, and not for a property or a key."""
        before, after = self._text(place - 1), self._text(place + 1)
        if before in (".", "?.") or self._tokens[place].text in _KEYWORDS:
            return False
        kind = self._kind.get(self._inner[place], "block")
        if kind == "class":
            return not self._is_member(place)
        if kind == "object" and before in ("{", ",", "async", "get", "set", "*"):
            return not (after == ":" or (after == "(" and self._is_method(place)))
        return True

    def _is_member(self, place: int) -> bool:
        """Whether a word directly in the braces of a class is the name of a member."""
        is_first = self._text(place - 1) in ("{", ";", "}", "async", "get", "set", "static", "*")
        return is_first and self._text(place + 1) in ("(", "=", ";")

    def _is_method(self, place: int) -> bool:
        return self._text(self._partner.get(place + 1, -9) + 1) == "{"

    def is_shorthand(self, place: int) -> bool:
        """Whether a name is key and value in one."""
        is_in_object = self._kind.get(self._inner[place]) == "object"
        return is_in_object and self._text(place - 1) in ("{", ",") and self._text(place + 1) in ("}", ",", "=")

    def short_names(self) -> dict[str, str]:
        """Each name that is replaced, the most frequent first, and what it is replaced by."""
        words = [token.text for token in self._tokens if token.kind == "word"]
        own = set(self._declared()) - self._outer()
        names = Counter(word for word in words if word in own)
        fresh = _fresh_names(set(words) | _KEYWORDS | _GLOBALS)
        return {name: next(fresh) for name, _ in names.most_common() if len(name) > 1}

    def _outer(self) -> set[str]:
        """Names that other modules or the browser know."""
        found = set(_GLOBALS)
        for place, token in enumerate(self._tokens):
            if token.text == "import" and self._text(place + 1) == "{":
                found.update(self._text(inner) for inner in range(place + 1, self._partner[place + 1]))
            elif token.text == "import":
                found.update((self._text(place + 1), self._text(place + 3)))
            elif token.text == "export":
                found.update(self._exported(place))
        return found

    def _exported(self, place: int) -> set[str]:
        start = place + 1
        while self._text(start) in ("async", "default", "function", "class", "const", "let", "*"):
            start += 1
        return set(self._bound(start)) if self._text(start) in _CLOSING else {self._text(start)}

    def _declared(self) -> Iterator[str]:
        for place, token in enumerate(self._tokens):
            if token.kind == "mark":
                if token.text == "=>":
                    yield from self._bound(self._partner.get(place - 1, place - 1))
                elif token.text == "(" and self._is_of_parameters(place):
                    yield from self._bound(place)
            elif token.text in ("const", "let"):
                yield from self._declarations(place + 1)
            elif token.text in ("function", "class"):
                yield from self._bound(place + (2 if self._text(place + 1) == "*" else 1))

    def _is_of_parameters(self, place: int) -> bool:
        """Whether parentheses hold what a function, a method or a catch clause takes."""
        name = self._tokens[place - 1] if place else self._tokens[0]
        if self._text(self._partner[place] + 1) != "{":
            return False
        return name.kind == "word" and name.text not in ("if", "for", "while", "switch", "with")

    def _declarations(self, start: int) -> Iterator[str]:
        """The names that a `const` or `let` declares, also those after commas."""
        yield from self._bound(start)
        place, inner = self._partner.get(start, start) + 1, self._inner[start]
        while self._text(place) not in (";", "of", "in", "") and self._inner[place] == inner:
            if self._text(place) == ",":
                yield from self._bound(place + 1)
            place = self._partner.get(place, place) + 1

    def _bound(self, start: int) -> Iterator[str]:
        """The names that a pattern binds: a name, or a pattern of names in brackets."""
        token = self._tokens[start]
        if token.kind == "word" and token.text not in _KEYWORDS:
            yield token.text
        if token.text not in _CLOSING:
            return
        place, end = start + 1, self._partner[start]
        while place < end:
            text = self._text(place)
            if text == "=":  # the value that it has by default
                while place < end and self._text(place) != ",":
                    place = self._partner.get(place, place) + 1
            elif text in _CLOSING:
                yield from self._bound(place)
                place = self._partner[place] + 1
            else:
                if self._text(place + 1) != ":":
                    yield from self._bound(place)
                place += 1


def _fresh_names(taken: set[str]) -> Iterator[str]:
    for length in count(1):
        for letters in product(ascii_letters, repeat=length):
            if (name := "".join(letters)) not in taken:
                yield name
