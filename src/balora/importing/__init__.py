"""Plans from elsewhere: AblationBench's Markdown or JSON to a study file; torch-free.

Text to blocks: ``source``, ``markup``, ``lines``, ``labels``, ``blocks``, ``jsonplans``, ``plan``. Words to settings:
``words``, ``parts``, ``actions``, ``recognise``, ``metrics``. Blocks to a study: ``names``, ``arms``, ``writing``,
``summary``. The whole way: ``plan_file``.
"""
