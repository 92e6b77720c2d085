"""Coefficients of the expected Dice, written by `benchmarks/trust.py`."""

INTERCEPT = -1.455
COEFFICIENTS = {
    "planes": 0.203,
    "vote": 0.191,
    "certainty": 0.216,
    "reverse": 0.244,
    "likeness": 0.023,
    "information": 0.164,
    "volume": 0.103,
    "place": 0.197,
}
