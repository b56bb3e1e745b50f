"""The books: funds, accounts, entries, postings.

Vocabulary
    Fund      a restricted bucket: money that may be spent on one designation only, kept in one currency
    Account   where amounts are counted; assets grow by debit, what a fund holds grows by credit
    Entry     one fact of business; its postings sum to zero in each currency
    Posting   one debit or credit of one account

Append-only: a correction is a reversing entry. Sums of postings are the only truth about money.
"""
