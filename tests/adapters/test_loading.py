"""The configuration loads without torch (tests/test_imports.py); what needs torch is loaded at first use."""

import pytest

import balora.adapters


@pytest.mark.parametrize("name", ["attach", "export_adapter", "export_merged", "frozen_copy", "reference_of"])
def test_what_needs_torch_is_found_at_its_first_use(name):
    assert callable(getattr(balora.adapters, name))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        balora.adapters.nothing  # noqa: B018
