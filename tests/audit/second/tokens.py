"""placeholder"""


class Distrusted(Exception):
    pass


def trusted(x):
    from .verdict import Unusable

    raise Unusable("tsa-roots")


def time_of(*a):
    raise Distrusted
