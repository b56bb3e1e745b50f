"""A stand-in Stripe server for demonstrations, tests and drills; never for production.

It runs in a process of its own, listens on the loopback interface alone, keeps its state in one SQLite file
and knows nothing of the service: all they share is Stripe's wire protocol (API version 2026-10-28.endive),
so that the unmodified `stripe` library cannot tell the difference.

Vocabulary: an *account* is the one Stripe account this server plays. A *payment* is what a donor does with a
Checkout Session; it is named by the id of its session, intent or charge. A *drill* is a push of a button that
Stripe's world would make: a refund, a dispute, a webhook that comes twice. A *fault* is trouble on the API's
side: slowness, errors, lost answers.
"""
