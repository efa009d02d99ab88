"""What is recorded: the row types of the fixed tables, one module a group of tables, and every statement on them.

No other module names a fixed table. Statements are constants, ``Query`` and ``Command``; a test prepares each of them
against an empty warehouse and compares what comes back with its row type. JSON columns are frozen types with a
``format``.
"""
