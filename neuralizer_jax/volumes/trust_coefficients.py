"""Coefficients of the expected Dice, written by `benchmarks/trust.py`."""

INTERCEPT = -2.130
COEFFICIENTS = {
    "planes": 0.200,
    "vote": 0.190,
    "certainty": 0.190,
    "reverse": 0.160,
    "likeness": 0.070,
    "information": 0.220,
    "volume": 0.110,
    "place": 0.180,
}
