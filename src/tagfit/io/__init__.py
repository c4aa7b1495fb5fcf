"""Files, JSON, memory maps and the cache folder."""

import logging

# every room that logs imports this one; in `tagfit` itself it would delay `import tagfit`, and each decoding process
logging.getLogger("tagfit").addHandler(logging.NullHandler())
