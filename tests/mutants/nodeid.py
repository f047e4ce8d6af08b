"""A name that mutmut 3.7 reads from a test and pytest 9.2 no longer keeps; mutmut 3.8 wants a click that Faust forbids."""

import pytest

pytest.Item._nodeid = property(lambda test: test.nodeid)
