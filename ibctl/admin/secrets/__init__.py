"""The encryption key, and the fields that lie encrypted under it: tokens, MT5 passwords, API keys.

The web application encrypts them and holds the same key. A *failure* is a stored value that this key does not open; an
empty (NULL) field is none.
"""
