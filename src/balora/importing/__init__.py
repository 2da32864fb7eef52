"""Turn an ablation plan from elsewhere (AblationBench's Markdown or JSON) into a study file; torch-free.

From text to blocks: ``clean_text``, ``html_to_markdown``, ``markdown_lines``, ``labels``, ``ablation_blocks``,
``json_plans``. From words to settings: ``concepts``, ``parts``, ``actions``, ``recognise``, ``metrics``. From blocks
to a study: ``imported_arms``, ``yaml_writer``, ``import_summary``. ``import_plan`` does all of it.
"""
