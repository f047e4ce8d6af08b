"""Tests have no `_nodeid` in pytest 9.2, and mutmut 3.7 reads it; mutmut 3.8 wants a click that Faust forbids."""

import pytest

pytest.Item._nodeid = property(lambda test: test.nodeid)
