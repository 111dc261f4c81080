"""Which predictors exist, what their cards say, who approved them, and the examples they learn from later."""
