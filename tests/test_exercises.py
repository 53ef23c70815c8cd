"""The notebooks' blanks are checked, and a blank is no error."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.exercises import check


@pytest.mark.parametrize(
    ("yours", "expected", "said"),
    [
        (None, 3.41, "not filled in yet"),
        (3.411, 3.41, "expected 3.41, yours 3.411: right"),
        (3.5, 3.41, "expected 3.41, yours 3.5: not yet"),
        (float("nan"), 3.41, "expected 3.41, yours nan: not yet"),
        ("Blur ", "blur", "expected 'blur', yours 'Blur ': right"),
        (1, "blur", "expected 'blur', yours 1: not yet"),
        ([1, 2.5], np.array([1, 2]), "2 numbers, the largest difference is 0.5: not yet"),
        ([1, 2], np.array([1, 2]), "2 numbers, the largest difference is 0: right"),
    ],
)
def test_it_says_what_was_expected(yours, expected, said, capsys):
    check(yours, expected)
    assert capsys.readouterr().out == f"{said}\n"


def test_another_kind_of_answer_is_named():
    with pytest.raises(UserError, match=r"yours has the shape \(3,\): expected \(2,\)"):
        check([1, 2, 3], np.array([1, 2]))
    with pytest.raises(UserError, match="yours is dict: expected numbers"):
        check({}, 3)


def test_a_tensor_of_pytorch_that_has_a_gradient_is_an_answer(capsys):
    torch = pytest.importorskip("torch")
    check(torch.tensor(3.41, requires_grad=True) * 1, 3.41)
    assert capsys.readouterr().out == "expected 3.41, yours 3.41: right\n"
