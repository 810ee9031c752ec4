import inspect
import subprocess
import sys

import stablenew


def test_every_public_name_is_there_and_documented():
    for name in stablenew.__all__:
        value = getattr(stablenew, name)
        if not name.startswith("__"):
            assert inspect.getdoc(value), name
            home = inspect.getmodule(value).__name__
            assert home.startswith("stablenew."), name
    assert set(dir(stablenew)) == set(stablenew.__all__)
    assert sorted(stablenew._HOMES) == sorted(set(stablenew.__all__) - {"__version__"})


def test_a_name_that_is_not_there_is_an_attribute_error():
    assert not hasattr(stablenew, "Nonsense")


def test_the_package_imports_nothing_until_it_is_used():
    script = (
        "import sys, stablenew; print(any(name.startswith('stablenew.') or name == 'pydantic' for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
