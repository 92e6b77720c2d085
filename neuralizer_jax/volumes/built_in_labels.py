"""Which of FreeSurfer's structures the built-in heads have. Imports nothing heavy."""

# Lateral ventricles, thalami, caudates, putamina, pallida, hippocampi, amygdalae, brain stem.
LABELS = (4, 10, 11, 12, 13, 16, 17, 18, 43, 49, 50, 51, 52, 53, 54)

# Further structures of the built-in heads: white matter, cortex, inferior lateral, third and fourth ventricles,
# cerebellum, accumbens, ventral diencephalon.
MORE_LABELS = (2, 3, 5, 7, 8, 14, 15, 26, 28, 41, 42, 44, 46, 47, 58, 60)
