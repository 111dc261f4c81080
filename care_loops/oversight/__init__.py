"""How well people watch over what is proposed, as pure functions over frozen rows (CLINICAL 4.1 to 4.3).

`statistics` has the published formulas; `rules` what the data file says; `groups` who may be shown apart from whom;
`measures` the figures of a group of decisions.
"""
