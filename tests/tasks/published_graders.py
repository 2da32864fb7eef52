r"""Pairs of gold answer and answer with the verdict that published graders of MATH and GSM8K give, for tests.

- HENDRYCKS: the test of `is_equiv`, modeling/math_equivalence_test.py of hendrycks/math (arXiv 2103.03874).
- MINERVA: what `normalize_final_answer` makes equal or different (Lewkowycz et al. 2022, appendix D; minerva_math of
  lm-evaluation-harness), and the final answers of its few-shot prompt.
- MATH_VERIFY: README and tests/test_all.py of huggingface/Math-Verify.
- PRM800K: what prm800k/grading/grader.py (openai/prm800k) decides beyond those.
- GSM8K: outputs with what the filters `strict-match` and `flexible-extract` of lm-evaluation-harness read in them.

DIFFERENT holds the pairs on which math-verify, and so `math_verify`, differs from the published verdict.
"""

HENDRYCKS = [
    ("\\tfrac{1}{2} + \\frac1{72}", "\\\\frac{1}{2} + 2/3", False),
    ("10, 4, -2", "4, 10, -2", False),
    ("10, 4, 2", "4, 12, 2", False),
    ("\\tfrac{1}{2} +\\! \\frac1{72}", "\\\\dfrac{1}{2} +\\frac{1}{72}", True),
    ("10\\text{ units}", "10 ", True),
    ("10\\text{ units}", "100 ", False),
    ("10", "\\$10", True),
    ("\\left(x-2\\right)\\left(x+2\\right)", "(x-2)(x+2)", True),
    ("0.1, 4, 2", "4, .1, 2", False),
    ("0.1", ".1", True),
    ("10\\%", "10", True),
    ("10\\sqrt{3} + \\sqrt4", "10\\sqrt3 + \\sqrt{4}", True),
    ("\\frac34i", "\\frac{3}{4}i", True),
    ("\\tfrac83", "\\frac{8}{3}", True),
    ("5x - 7y + 11z + 4 = 0", "x + y - z + 2 = 0", False),
    ("1/2", "\\frac{1}{2}", True),
]
MINERVA = [
    ("[2,5)", "$[2,5)$", True),
    ("24", "$24$", True),
    ("-\\frac{2}{3}", "$-\\frac{2}{3}$", True),
    ("100000", "100,000", True),
    ("0,1", "01", False),
    ("0,1", "1,0", False),
    ("\\frac{1}{2}", "\\frac12", True),
    ("\\frac{a}{b}", "\\frac ab", True),
    ("\\sqrt{2}", "\\sqrt2", True),
    ("\\sqrt[3]{8}", "\\sqrt[3]8", True),
    ("16", "x=16", True),
    ("5", "5\\text{ dollars}", True),
    ("30", "30^\\circ", True),
    ("30", "30^{\\circ}", True),
    ("45", "45\\text{ mph}", True),
    ("12", "12\\text{ square units}", True),
    ("15", "15\\mbox{ cm}", True),
    ("2\\pi", "2\\pi\\text{ cm}", True),
    ("\\text{Evelyn}", "\\textbf{Evelyn}", True),
    ("\\text{Evelyn}", "\\text{Carla}", False),
]
MATH_VERIFY = [
    ("{1,3} \\cup {2,4}", "{1,2,3,4}", True),
    ("-5", "-5", True),
    ("7425000", "7,425,000", True),
    ("1000", "1 000", True),
    ("1000", "1000.0", True),
    ("1000.99", "1000,99", True),
    ("0.4", ".4", True),
    ("1000.99", "\\$1,000.99", True),
    ("-10/9", "-\\frac{10}{9}", True),
    ("[0,9)", "[0,1)", False),
    ("(0,9)", "[0,9)", False),
    ("1", "-[0,1)", False),
    ("10", "(9+1)", True),
    ("1/3", "\\frac13", True),
    ("1", "\\frac3{3}", True),
    ("1/3", "\\cfrac{1}{3}", True),
    ("1/3", "\\left( \\frac{1}{3} \\right)", True),
    ("1/3", "\\frac{1}{3} \\textbf{meters}", True),
    ("1/3", "k = \\frac{1}{3}", True),
    ("x >= 5", "x \\geq 5", True),
    ("x > 5", "x < 5", False),
    ("x \\leq 5", "5 \\geq x", True),
    ("x < 1", "-x > -1", True),
    ("x < 1", "x > -1", False),
    ("x = 11", "x = 5+5+1 = 7 =11", True),
    ("11", "x\\approx11", True),
    ("k=1", "1", True),
    ("1", "k=1", True),
    ("2x + z = 1", "1", False),
    ("101", "a+2z = 2z + a = 101", True),
    ("2x+4y-3=0", "y=-\\frac{1}{2}x+\\frac{3}{4}", True),
    ("x^2/4 + y^2/3 = 1", "x^2/16 + y^2/12 = 1/4", True),
    ("1 < x < 2", "(1,2)", True),
    ("(1,2)", "1 < x < 2", False),
    ("\\begin{bmatrix}0 & 0 \\\\0 & 0\\end{bmatrix}", "\\begin{pmatrix}0 & 0 \\\\0 & 0\\end{pmatrix}", True),
    ("\\begin{pmatrix}1 & 2 \\\\ 3 & 4\\end{pmatrix}", "\\begin{pmatrix}1 & 2 \\\\ 3 & 5\\end{pmatrix}", False),
    ("\\frac{1}{12}", "0.0833333333333333", True),
    ("(1,\\frac{9}{2})", "(1,4.5)", True),
    ("\\frac{x+2}{7}", "\\frac{x}{7}+\\frac{2}{7}", True),
    ("\\tan^2(y)+1", "\\sec^2(y)", True),
    ("(a+5)(b+2)", "(+5)(b+2)", False),
    ("2", "\\frac{1+\\sqrt{5}}{2}", False),
    ("x+2n+1", "x+1", False),
    ("(3,1)", "\\{1,3\\}", False),
    ("(1,3)", "\\{1,3\\}", True),
    ("11111111100", "11,\\! 111,\\! 111,\\! 100", True),
    ("32349", "32,\\! 349", True),
    ("32349", "32, 349", False),
    ("\\text{C}", "\\text{(C)}", True),
]
PRM800K = [
    ("7\\frac{3}{4}", "7 + 3/4", True),
    ("\\frac{1}{3}", "\\frac{2}{6}", False),
    ("8", "2^3", False),
    ("204_5", "204", False),
    ("\\text{Odd}", "\\text{odd}", True),
]
DIFFERENT = {
    ("10, 4, -2", "4, 10, -2"),  # several answers are a set
    ("0.1, 4, 2", "4, .1, 2"),
    ("0,1", "1,0"),
    ("\\frac{a}{b}", "\\frac ab"),  # arguments without braces
    ("\\sqrt[3]{8}", "\\sqrt[3]8"),
    ("1000", "1 000"),  # read as a product in LaTeX; math-verify reads it in plain text only
    ("1000.99", "1000,99"),  # the same
    ("\\frac{1}{3}", "\\frac{2}{6}"),  # equal numbers are equal, reduced or not
    ("8", "2^3"),
    ("204_5", "204"),  # the base is lost
}
GSM8K = [
    # (output, strict-match, flexible-extract, final_answer); None: no answer
    ("She has 2 + 2 = 4 apples.\n#### 4", "4", "4", "4"),
    ("#### 1,234", "1234", "1234", "1234"),
    ("#### -5", "-5", "-5", "-5"),
    ("#### 18 dollars", "18", "18", "18"),
    ("The answer is 18 dollars.", None, "18", "18"),
    ("The total is $18.50", None, "18.50", "18.50"),
    ("It costs $3, or $5 with a drink.", None, "5", "5"),
    ("#### 4\nQuestion: and 7?\n#### 11", "4", "11", "4"),
    ("I cannot tell.", None, None, None),
    # where neither filter reads what was written, or reads a part of it, balora reads the whole or nothing
    ("####42", None, "42", "42"),
    ("#### $5", None, "5", "5"),
    ("#### about 5", None, "5", "5"),
    ("#### 5:30", "5", "30", "5:30"),
    ("#### 3 1/2", "3", "2", "7/2"),
    ("#### 10^6", "10", "6", "1000000"),
    ("#### 1/2", "1", "2", "1/2"),
    ("We get 10 - 3", None, "3", None),
]
