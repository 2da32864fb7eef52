"""Wrong versions of `balora.adapters`; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("adapters/factor_cache.py", "adapters/test_factor_cache.py"): [
        ("key-without-method", '"method": method,\n        "random state": _digest(generator.get_state()) if method == "randomized" else "",', ""),
        ("key-without-rank", '"rank": rank,', ""),
        ("key-without-shape", '"shape": "×".join(map(str, weight.shape)),', ""),
        ("key-without-dtype", '"dtype": str(weight.dtype),', ""),
        ("key-without-the-weight", '"weight": _digest(weight),', ""),
        ("key-without-version", '"version": VERSION,', ""),
        ("key-without-seed", '_digest(generator.get_state()) if method == "randomized" else ""', '""'),
        ("key-with-a-seed-nobody-needs", 'if method == "randomized" else ""', ""),
        ("ranks-not-shared", "max(rank, min(largest_rank(), *weight.shape))", "rank"),
        ("rank-beyond-the-weight", "min(largest_rank(), *weight.shape)", "largest_rank()"),
        ("randomized-is-cut", 'if method == "exact" else rank', ""),
        ("not-cut", "part_of(known, rank, scaling)", "part_of(known, whole, scaling)"),
        ("scaling-ignored", "part_of(known, rank, scaling)", "part_of(known, rank)"),
        ("scaling-is-kept", "pissa_factors(weight, whole, method=", "pissa_factors(weight, whole, scaling, method="),
        ("small-ones-too", "min(weight.shape) < CACHED_FROM", "False"),
        ("no-switch", "not self.is_on or ", ""),
        ("any-word-switches", 'if switch not in ("on", "off"):', "if False:"),
        ("never-read", "known = _read(path, marks)", "known = None"),
        ("never-kept", "self._keep(path, known, marks)", "pass"),
        ("checksum-unread", 'if header.get("sha256") != _digest(A, B):', "if False:"),
        ("marks-unread", 'if header.get("marks") != _card(marks):', "if False:"),
        ("torn-is-fatal", "except (OSError, SafetensorError, ValueError) as error:", "except OSError as error:"),
        ("said-each-time", "self._keeps = False", "pass"),
        ("full-disk-is-fatal", "        except OSError as error:\n            self._keeps", "        except KeyError as error:\n            self._keeps"),
        ("full-disk-of-safetensors-is-fatal", "except SafetensorError as error:  # its way", "except KeyError as error:  # its way"),
        ("half-written-stays", "Path(partial).unlink(missing_ok=True)", "pass"),
        ("others-work-removed", "partial.stat().st_mtime > STALE", "partial.stat().st_mtime > -STALE"),
        ("leftovers-stay", "self._tidy()\n", "pass\n"),
        ("written-in-place", 'tempfile.mkstemp(prefix=PARTIAL, dir=path.parent)', 'os.open(path, os.O_CREAT | os.O_RDWR), str(path)'),
    ],
    ("adapters/ranks.py", "adapters/test_factor_cache.py"): [
        ("rank-stays", "_LARGEST.reset(before)", "pass"),
    ],
    ("adapters/factor_progress.py", "adapters/test_factor_progress.py"): [
        ("bar-in-a-file", "not sys.stderr.isatty()", "False"),
        ("no-patience", "delay=PATIENCE, ", ""),
        ("telling-without-patience", "if time.monotonic() - began >= PATIENCE:", "if True:"),
        ("bar-beside-the-listener", "        return\n", "        pass\n"),
    ],
}
