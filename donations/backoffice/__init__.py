"""Console forms of the campaign team: campaigns, their resources, and what gifts earn.

Each thing has `fields_of`, its form as it would be shown: what the page fills in, what the fingerprint of two editors
at once is made of, and what the audit log compares.
"""
