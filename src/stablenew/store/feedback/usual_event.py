"""The feedback events that nearly all feedback is: ratings, tags and flags as we write them.

One pattern tells that a line is such an event, and that each of its values is written the one way that RFC 8785 has for
it. So its id can be checked from its own bytes, without parsing and writing it again, in a quarter of the time. What is
written in any other way is not wrong; it is left to the other readers.
"""

import re
from typing import Final

from stablenew.formats.digest import DIGEST_PATTERN, digest_bytes
from stablenew.formats.model_base import HYBRID_CLOCK_PATTERN

_DIGEST: Final = DIGEST_PATTERN.strip("^$")
_CLOCK: Final = HYBRID_CLOCK_PATTERN.strip("^$")
_TEXT: Final = r"[ !#-\[\]-~\x80-\xff]{1,256}"
"""Characters that JSON has no other way to write."""
_SLUG: Final = "[a-z][a-z0-9_]{0,63}"
_IMAGE: Final = rf'"image_id":(?:null|"{_DIGEST}")'
_RATE: Final = rf'("op":"rate"),({_IMAGE}),("rating":(?:null|[0-5]))'
_TAG: Final = rf'("op":"tag"),({_IMAGE}),("tag":"{_TEXT}"),("present":(?:true|false))'
_FLAG: Final = rf'("op":"flag"),({_IMAGE}),("flag":(?:null|"{_SLUG}"))'
_EVENT: Final = re.compile(
    rf'\{{"id":"({_DIGEST})",("clock":"{_CLOCK}"),("replica":"{_TEXT}"),("rater":"{_TEXT}"),'
    rf'(?:{_RATE}|{_TAG}|{_FLAG})(?:,("act":"{_TEXT}"))?\}}'.encode()
)
_RATE_OP, _TAG_OP, _ACT = 5, 8, 15
_RATE_ORDER: Final = (2, 6, 5, 4, 7, 3)
"""The members of a rating in the order of RFC 8785, as groups of the pattern."""
_TAG_ORDER: Final = (2, 9, 8, 11, 4, 3, 10)
_FLAG_ORDER: Final = (2, 14, 13, 12, 4, 3)


def genuine_id(line: bytes) -> str | None:
    """The id of the event in `line`, if it is a usual one and its id is the digest of the rest; else None."""
    found = _EVENT.fullmatch(line)
    if found is None:
        return None
    order = _RATE_ORDER if found[_RATE_OP] else _TAG_ORDER if found[_TAG_OP] else _FLAG_ORDER
    members = found.group(*order) if found[_ACT] is None else found.group(_ACT, *order)
    known = found[1].decode()
    return known if digest_bytes(b"{%b}" % b",".join(members)) == known else None
