"""The engine of many nodes: publications, history, presence and calls between nodes through Redis.

Keys, values and frames are Centrifugo's (engines specification 3), so both may share one Redis.
"""
