"""What Keras lacks, as it is pasted into translated networks: layers, costs, constraints, schedules.

Each name of these modules is there once. A translated network gets those that it needs, and what they need
(pasting.py); so there are no options here that only some networks would use, but a class for each variant.
"""
