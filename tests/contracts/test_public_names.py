import pytest

import tidegate


def test_the_public_names_are_exactly_these() -> None:
    assert tidegate.__all__ == sorted(tidegate.__all__, key=lambda n: (not n[0].isupper(), n))
    assert dir(tidegate) == sorted(tidegate.__all__)


@pytest.mark.parametrize("name", tidegate.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(tidegate, name)
    assert value if name == "__version__" else value.__doc__


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'tidegate' has no attribute 'Wlak'"):
        tidegate.Wlak  # noqa: B018
