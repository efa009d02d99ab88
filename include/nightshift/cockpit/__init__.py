"""The operators' cockpit: how each model stands, who is needed first, what a night came to. It only reads.

Nothing is imported here: every component of Airflow imports the name of the bundle.
"""
