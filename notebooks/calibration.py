# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (sec-calibration)=
# # What calibration checks cannot see
#
# Where no exact posterior is at hand, samplers are judged by checks of
# calibration, which need simulations alone. What do they see of samplers
# that exact samples tell apart?
