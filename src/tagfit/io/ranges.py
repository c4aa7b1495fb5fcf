"""What numbers a field may hold: enforced where a record is read, with the words that a fault uses."""

from __future__ import annotations

import sys
from typing import Annotated

from msgspec import Meta

_MOST = sys.float_info.max  # what is above is infinite; NaN is in no range

Finite = Annotated[float, Meta(ge=-_MOST, le=_MOST, description="a finite number")]
Positive = Annotated[float, Meta(gt=0, le=_MOST, description="a number above 0")]
NotNegative = Annotated[float, Meta(ge=0, le=_MOST, description="a number of at least 0")]
Fraction = Annotated[float, Meta(ge=0, le=1, description="a fraction from 0 to 1")]
#: some of a whole, never all of it; and some or all, never nothing
Share = Annotated[float, Meta(ge=0, lt=1, description="a fraction from 0 up to, not including, 1")]
SomeShare = Annotated[float, Meta(gt=0, le=1, description="a fraction above 0, at most 1")]
OpenFraction = Annotated[float, Meta(gt=0, lt=1, description="a fraction between 0 and 1, both excluded")]
Count = Annotated[int, Meta(ge=1, lt=2**31, description="a whole number of at least 1")]
CountOrNone = Annotated[int, Meta(ge=0, lt=2**31, description="a whole number of at least 0")]
