"""Mutants of the command line and of the errors that it prints: one line for each."""

MUTANTS = {
    ("errors.py", "cli/test_cli_main.py"): [
        ("last-part-is-not-suggested", 'known_name.endswith(f".{name}")', "False"),
        ("only-the-first-is-suggested", "map(repr, close)", "map(repr, close[:1])"),
    ],
    ("cli/output.py", "cli/test_cli_output.py"): [
        ("failed-write-is-a-bug", "except OSError as error:", "except ZeroDivisionError as error:"),
        ("nan-is-printed", "value - value != 0", "value != value"),
    ],
    ("cli/progress_bar.py", "cli/test_cli_output.py"): [
        ("time-left-counts-done-steps", "{now.phase: now.steps - now.step}", "{now.phase: now.steps}"),
        ("every-step-is-a-line", "clock - self._last_line < SECONDS_BETWEEN_LINES", "False"),
        ("earlier-phase-stays-open", "completed=earlier.total", "completed=0"),
    ],
    ("cli/streams.py", "hostile/test_streams.py"): [
        ("reader-gone-is-an-error", "lambda error: error.errno == errno.EPIPE", "lambda error: False"),
        ("full-is-forgiven", "if not self._forgives(error):", "if False:"),
        ("strict", "if stream.errors in REPLACING else PLAIN", "if True else PLAIN"),
    ],
    ("folders.py", "hostile/test_homes.py"): [
        ("relative-cache", "if not general.is_absolute():", "if not general.parts:"),
        ("not-inherited", "os.environ[CACHE_VARIABLE] = folder", "os.environ.copy()[CACHE_VARIABLE] = folder"),
    ],
}
