"""What the command line makes of the names of arguments in messages of the library."""

import pytest

from weakbeam.cli.options import naming_flags, text_with_flags, with_flags
from weakbeam.errors import InputError


def test_arguments_become_flags_and_keys_of_the_experiment_stay():
    told = with_flags(InputError("path", "a.h5", "exists; use `overwrite` or another name"))
    assert str(told) == "--output = 'a.h5': exists; use --overwrite or another name"
    assert with_flags(InputError("output.layout", "`path`", "must be x")).key == "output.layout"


def test_other_words_in_backquotes_and_values_stay():
    told = with_flags(InputError("beam", "`resume`", "is `unknown`, `resume`"))
    assert str(told) == "beam = '`resume`': is `unknown`, --resume"
    assert text_with_flags("lost; `resume` goes on") == "lost; --resume goes on"


def test_a_command_names_its_own_flags_beside_the_common_ones():
    with pytest.raises(InputError) as caught, naming_flags(noise="--noise"):
        raise InputError("noise", 3, "give `noise` or `resume`")
    assert str(caught.value) == "--noise = 3: give --noise or `resume`"
    assert str(with_flags(caught.value)) == "--noise = 3: give --noise or --resume"
