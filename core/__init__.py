"""What every room uses: database, money, clock, ids, errors, HTTP, languages, jobs, outbox."""
