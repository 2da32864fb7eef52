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
        ("not-cut", "part_of(cached, rank, scaling)", "part_of(cached, whole, scaling)"),
        ("scaling-ignored", "part_of(cached, rank, scaling)", "part_of(cached, rank)"),
        ("scaling-is-kept", "pissa_factors(weight, whole, method=", "pissa_factors(weight, whole, scaling, method="),
        ("small-ones-too", "min(weight.shape) < CACHED_FROM", "False"),
        ("no-switch", "not self.is_on or ", ""),
        ("any-word-switches", 'if switch not in ("on", "off"):', "if False:"),
        ("never-read", "cached = _read(path, identity)", "cached = None"),
        ("never-kept", "self._store(path, cached, identity)", "pass"),
        ("checksum-unread", 'if header.get("sha256") != _digest(A, B):', "if False:"),
        ("identity-unread", 'if header.get("marks") != _as_text(identity):', "if False:"),
        ("torn-is-fatal", "except (OSError, SafetensorError, ValueError) as error:", "except OSError as error:"),
        ("said-each-time", "self._is_writable = False", "pass"),
        ("full-disk-is-fatal", "        except OSError as error:\n            self._is_writable", "        except KeyError as error:\n            self._is_writable"),
        ("leftovers-stay", "remove_stale(self.folder)\n", "pass\n"),
    ],
    ("folders.py", "test_folders.py"): [
        ("half-written-stays", "partial.unlink(missing_ok=True)", "pass"),
        ("written-in-place", 'path.with_name(f"{PARTIAL}{path.name[:60]}-{unique}")', "path"),
        ("never-flushed", "if durable:", "if False:"),
        ("others-work-removed", "partial.stat().st_mtime > STALE", "partial.stat().st_mtime > -STALE"),
        ("stale-folders-stay", "shutil.rmtree(partial) if partial.is_dir() else partial.unlink()", "partial.unlink()"),
    ],
    ("adapters/ranks.py", "adapters/test_factor_cache.py"): [
        ("rank-stays", "_LARGEST.reset(before)", "pass"),
    ],
    ("adapters/factor_progress.py", "adapters/test_factor_progress.py"): [
        ("bar-in-a-file", "not sys.stderr.isatty()", "False"),
        ("no-patience", "delay=PATIENCE, ", ""),
        ("reporting-without-patience", "if time.monotonic() - began >= PATIENCE:", "if True:"),
        ("bar-beside-the-listener", "        return\n", "        pass\n"),
    ],
}
