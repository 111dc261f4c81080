"""The features of the hypertension pathway, read from their table. The arithmetic is `models.features`.

Rules
 * A range that is a limit of plausibility is taken from that table, so that it is written once.
 * A definition that changes is a new version, and a new row; the old row stays for the models that name it.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import cache

from models.features import Aggregate, Catalogue, FeatureSpec, PersonalData

from .table_files import BadTable, Row, Rows, count_of, decimal_of, read_table
from .tables_readings import plausibility_limits


def build_features(rows: Rows) -> Catalogue:
    """The catalogue from rows. Raises `BadTable` for a range that is none, `BadSpec` for a definition that is none."""
    return Catalogue(tuple(_spec(row) for row in rows))


@cache
def features() -> Catalogue:
    """Every feature of the pathway."""
    return build_features(read_table("features").rows)


def _spec(row: Row) -> FeatureSpec:
    least, most = _range(row)
    return FeatureSpec(
        name=str(row["name"]),
        signal=str(row["signal"]),
        unit=str(row["unit"]),
        aggregate=Aggregate(str(row["aggregate"])),
        window=timedelta(days=count_of(row, "window_days")),
        least=least,
        most=most,
        version=count_of(row, "version"),
        personal_data=PersonalData(str(row["personal_data"])),
        owner=str(row["owner"]),
    )


def _range(row: Row) -> tuple[Decimal, Decimal]:
    """The least and the most of a signal: its own, or those of plausibility, named as `home systolic`."""
    if "limits" not in row:
        return decimal_of(row, "least"), decimal_of(row, "most")
    where, _, what = str(row["limits"]).partition(" ")
    limits = {cited.row: Decimal(cited.value) for cited in plausibility_limits(where).rows}
    try:
        return limits[f"{what}_min"], limits[f"{what}_max"]
    except KeyError:
        raise BadTable(f"{row['name']}: {row['limits']} is no limit of plausibility") from None
