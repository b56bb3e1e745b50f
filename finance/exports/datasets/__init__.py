"""All that can be exported, by name, in the order that people are shown. To add one: its module, and its name here."""

from finance.exports.datasets import donations, postings, receipts, settlements, statement, stock, totals
from finance.exports.datasets.base import Dataset

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        donations.DATASET,
        statement.DATASET,
        postings.DATASET,
        settlements.SETTLEMENTS,
        settlements.PAYOUT_LIST,
        receipts.DATASET,
        stock.DATASET,
        *totals.ALL,
    )
}

__all__ = ["DATASETS", "Dataset"]
