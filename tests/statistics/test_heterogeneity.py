"""The spread of a difference between pre-trained models: closed forms, slower oracles, and degenerate designs."""

import warnings
from math import sqrt

import numpy as np
import pytest
from scipy import optimize, stats

from balora.statistics import Heterogeneity, heterogeneity, t_interval
from balora.statistics.heterogeneity import reml

# Two models of two blocks: means 2 and 8, MSW = (2 + 2)/2 = 2, MSB = 2·(3² + 3²)/1 = 36
LITERAL, MODELS = [1.0, 3.0, 7.0, 9.0], [0, 0, 1, 1]
UNBALANCED = [2, 1, 3, 2, 2, 4]


def drawn(seed: int, sizes: list[int], tau: float, sigma: float = 1.0) -> tuple[list[float], list[int]]:
    draw, models = np.random.default_rng(seed), np.repeat(np.arange(len(sizes)), sizes)
    return list(draw.normal(0.5, tau, len(sizes))[models] + draw.normal(0, sigma, len(models))), models.tolist()


def known(values: list[float], models: list[int]) -> Heterogeneity:
    found = heterogeneity(values, models)
    assert found is not None
    return found


def means_of(values: list[float], models: list[int]) -> tuple[np.ndarray, np.ndarray, float]:
    """Means of the models, how many blocks each has, and the mean square within them."""
    groups = [np.array([v for v, m in zip(values, models, strict=True) if m == j]) for j in dict.fromkeys(models)]
    within = sum(((one - one.mean()) ** 2).sum() for one in groups) / (len(values) - len(groups))
    return np.array([one.mean() for one in groups]), np.array([len(one) for one in groups]), float(within)


def test_balanced_it_is_the_analysis_of_variance() -> None:
    assert reml(LITERAL, MODELS) == pytest.approx(((36 - 2) / 2, 2.0), rel=1e-6)
    found = known(LITERAL, MODELS)
    assert (found.models, found.mean) == (2, pytest.approx(5.0))
    assert (found.tau, found.sigma) == (pytest.approx(sqrt(17), rel=1e-6), pytest.approx(sqrt(2), rel=1e-6))


def test_alike_models_share_one_variance() -> None:
    """Where MSB < MSW, τ² is 0, and all blocks estimate σ² together: 16/3."""
    assert reml([-2.0, 2.0, -2.0, 2.0], MODELS) == (0.0, pytest.approx(16 / 3))
    assert known([-2.0, 2.0, -2.0, 2.0], MODELS).tau == 0


@pytest.mark.parametrize("sizes", [[2] * 8, UNBALANCED, [1, 1, 1, 3]])
def test_it_is_the_reml_of_statsmodels(sizes: list[int]) -> None:
    import pandas
    import statsmodels.formula.api as statsmodels

    values, models = drawn(3, sizes, 2.0)
    table = pandas.DataFrame({"d": values, "model": models})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = statsmodels.mixedlm("d ~ 1", table, groups="model").fit(reml=True)
    assert reml(values, models) == pytest.approx((fitted.cov_re.iloc[0, 0], fitted.scale), rel=2e-4)
    assert known(values, models).mean == pytest.approx(fitted.params["Intercept"], rel=1e-4)


def test_its_tau_is_that_of_a_meta_analysis_of_the_models_means() -> None:
    """Independent oracle: maximise Viechtbauer's restricted likelihood of the means, sampling variances σ²/n."""
    values, models = drawn(5, UNBALANCED, 1.5)
    between, within = reml(values, models)
    means, sizes, _ = means_of(values, models)

    def minus_likelihood(square: float) -> float:
        w = 1 / (square + within / sizes)
        middle = (w * means).sum() / w.sum()
        return float((np.log(1 / w).sum() + np.log(w.sum()) + (w * (means - middle) ** 2).sum()) / 2)

    best = optimize.minimize_scalar(minus_likelihood, bounds=(0, 50), method="bounded", options={"xatol": 1e-9})
    assert between == pytest.approx(best.x, rel=1e-4)
    assert between > 0.1, "the setting can tell"


def test_hartung_and_knapp_are_those_of_statsmodels() -> None:
    """In a balanced design Paule and Mandel's τ², which statsmodels has, is that of REML."""
    from statsmodels.stats.meta_analysis import combine_effects

    values, models = drawn(7, [2] * 6, 2.0)
    means, sizes, within = means_of(values, models)
    oracle = combine_effects(means, within / sizes, method_re="iterated", use_t=True)
    found = known(values, models)
    assert found.tau**2 == pytest.approx(oracle.tau2, rel=1e-5)
    half = stats.t.isf(0.025, 5) * oracle.sd_eff_w_re_hksj
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), rel=1e-6)
    assert found.mean == pytest.approx(oracle.mean_effect_re)


def test_balanced_its_interval_is_the_t_interval_over_the_models_means() -> None:
    values, models = drawn(8, [3] * 5, 0.7)
    found = known(values, models)
    assert (found.low, found.high) == pytest.approx(t_interval(list(means_of(values, models)[0])))


def test_unbalanced_a_model_weighs_by_what_is_known_of_it() -> None:
    values, models = drawn(9, [1, 6, 2, 3], 1.0)
    found = known(values, models)
    means, sizes, _ = means_of(values, models)
    w = 1 / (found.tau**2 + found.sigma**2 / sizes)
    middle = float((w * means).sum() / w.sum())
    error = sqrt((w * (means - middle) ** 2).sum() / 3 / w.sum())
    assert found.mean == pytest.approx(middle)
    assert found.high - middle == pytest.approx(stats.t.isf(0.025, 3) * error)
    assert abs(middle - means.mean()) > 0.005, "the setting can tell"


def test_the_ends_of_taus_interval_are_where_f_ends() -> None:
    values, models = drawn(3, UNBALANCED, 2.0)
    found = known(values, models)
    means, sizes, within = means_of(values, models)
    over, under = len(sizes) - 1, len(values) - len(sizes)
    for tau, tail in ((found.tau_low, 0.025), (found.tau_high, 0.975)):
        w = 1 / (tau**2 + within / sizes)
        ratio = (w * (means - (w * means).sum() / w.sum()) ** 2).sum() / over
        assert ratio == pytest.approx(stats.f.isf(tail, over, under), rel=1e-6)
    assert 0 < found.tau_low < found.tau < found.tau_high


def test_models_differ_where_the_f_test_says_so() -> None:
    seen = set()
    for seed in range(30):
        values, models = drawn(seed, [2] * 5, 1.0)
        p = stats.f_oneway(*np.array(values).reshape(5, 2)).pvalue
        assert known(values, models).differs is bool(p < 0.025)
        seen.add(bool(p < 0.025))
    assert seen == {True, False}


def test_a_new_model_is_predicted_as_by_drawing_one_by_one() -> None:
    """Independent oracle: for each of 1,500 draws of F a root finder gives τ²; then mean and model are drawn."""
    values, models = drawn(3, [1, 2, 2, 3, 4], 1.5)
    found = known(values, models)
    means, sizes, within = means_of(values, models)
    over, under, draw = 4, len(values) - 5, np.random.default_rng(1)

    def fit(square: float) -> tuple[float, float, float]:
        w = 1 / (square + within / sizes)
        middle = (w * means).sum() / w.sum()
        return (w * (means - middle) ** 2).sum() / over, middle, w.sum()

    drawn_means = []
    for f in draw.f(over, under, 1500):
        square = 0.0 if fit(0.0)[0] <= f else optimize.brentq(lambda x, f=f: fit(x)[0] - f, 0, 1e9)
        ratio, middle, weight = fit(square)
        for _ in range(8):
            mean = middle + draw.standard_t(over) * sqrt(ratio / weight)
            drawn_means.append(draw.normal(mean, sqrt(square)))
    low, high = np.quantile(drawn_means, (0.025, 0.975))
    assert (found.new_high or 0) - (found.new_low or 0) == pytest.approx(high - low, rel=0.06)
    assert found.new_low is not None
    assert found.new_high is not None
    assert found.new_low < found.low < found.high < found.new_high


def test_many_blocks_on_every_model_leave_the_classical_prediction() -> None:
    """With σ²/n far below τ², μ̂ ± t_(M−1)·s·√(1 + 1/M) is exact; the draws differ in how they add two t."""
    means = np.array([0.0, 1.0, 3.0, 6.0, 4.0, 2.5])
    values = np.concatenate([mean + np.linspace(-0.1, 0.1, 60) for mean in means])
    found = known(list(values), list(np.repeat(np.arange(6), 60)))
    half = stats.t.isf(0.025, 5) * means.std(ddof=1) * sqrt(1 + 1 / 6)
    assert (found.new_low, found.new_high) == pytest.approx((means.mean() - half, means.mean() + half), rel=0.03)


def test_it_moves_and_stretches_with_the_differences() -> None:
    values, models = drawn(2, UNBALANCED, 1.0)
    one, other = known(values, models), known([10 - 3 * value for value in values], models)
    assert other.mean == pytest.approx(10 - 3 * one.mean)
    assert (other.tau, other.sigma) == pytest.approx((3 * one.tau, 3 * one.sigma), rel=1e-5)
    assert (other.tau_low, other.tau_high) == pytest.approx((3 * one.tau_low, 3 * one.tau_high), rel=1e-6)
    assert other.low == pytest.approx(10 - 3 * one.high, rel=1e-6)
    assert other.new_high == pytest.approx(10 - 3 * (one.new_low or 0), rel=0.02)


def test_the_order_of_blocks_does_not_matter() -> None:
    values, models = drawn(2, UNBALANCED, 1.0)
    order = np.random.default_rng(0).permutation(len(values))
    one, other = known(values, models), known([values[i] for i in order], [models[i] for i in order])
    assert (other.tau, other.mean, other.new_low) == pytest.approx((one.tau, one.mean, one.new_low), rel=1e-6)


@pytest.mark.parametrize(
    ("values", "models"),
    [([], []), ([1.0], [0]), ([1.0, 2.0], [0, 0]), ([1.0, 2.0, 4.0], [0, 1, 2])],
    ids=["nothing", "one block", "one model", "a model for each block"],
)
def test_what_cannot_be_told_is_not_told(values: list[float], models: list[int]) -> None:
    assert heterogeneity(values, models) is None


def test_blocks_that_never_differ_have_no_spread() -> None:
    found = known([0.1 + 0.2, 0.3, 0.3, 0.3, 0.3], [0, 0, 1, 1, 2])
    assert found.tau == pytest.approx(0, abs=1e-15)
    assert (found.tau_low, found.sigma, found.differs) == (0, 0, False)
    assert found.low == pytest.approx(found.high) == pytest.approx(0.3)
    assert found.new_low == pytest.approx(0.3)


def test_no_spread_within_models_leaves_all_of_it_between_them() -> None:
    found = known([1.0, 1.0, 2.0, 2.0, 6.0], [0, 0, 1, 1, 2])
    assert (found.tau, found.sigma) == (pytest.approx(np.std([1, 2, 6], ddof=1)), 0)
    assert found.differs
    assert (found.low, found.high) == pytest.approx(t_interval([1.0, 2.0, 6.0]))


def test_two_models_predict_no_third() -> None:
    assert known(LITERAL, MODELS).new_low is None
