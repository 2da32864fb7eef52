"""Wrong versions of `balora.adapters`; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("adapters/sharding.py", "hostile/test_wrapped_models.py"): [
        ("any-class-of-that-name", ' if kind.__module__.startswith("deepspeed.")]', "]"),
        ("partitions-are-exported", 'if any(map(is_partitioned, tensors)):', "if False:"),
    ],
    ("adapters/checkpoint.py", "hostile/test_changed_bases.py"): [
        ("half-counts-as-changed", "(present.dtype, torch.bfloat16, torch.float16)", "(present.dtype,)"),
        ("trained-counts-as-unchanged", "not tensor.requires_grad for tensor", "True for tensor"),
        ("path-is-passed-on", 'return path.resolve().name or "model" if is_folder else name', "return name"),
    ],
    ("adapters/attachment.py", "adapters/test_attachment.py"): [
        ("minor-is-pissa", 'method = "minor" if config.init == "minor" else config.svd', "method = config.svd"),
        ("random-is-pissa", 'if config.init == "random-matched":', "if False:"),
        ("every-start-is-random", 'if config.init == "random-matched":', "if True:"),
        ("offset-for-pissa-alone", "2 * config.rank if config.in_offset_form", '2 * config.rank if config.init == "pissa"'),
        ("plain-start-for-others", "    if config.in_offset_form:\n", '    if config.init == "pissa":\n'),
        ("never-moving-is-accepted", 'if config.init == "minor" and not start[0].any():', "if False:"),
        ("one-draw-for-all-layers", 'f"{seed}/{name}"', 'f"{seed}"'),
        ("one-draw-for-all-seeds", 'f"{seed}/{name}"', 'f"{name}"'),
    ],
    ("adapters/attachment.py", "adapters/test_factor_cache.py"): [
        ("directions-follow-the-cache", "random_matched_factors(start, _generator(seed, name))", "random_matched_factors(start, generator)"),
        ("drawn-before-the-decomposition", "config.svd\n    start", 'config.svd\n    if config.init == "random-matched": generator.manual_seed(generator.initial_seed() + 1)\n    start'),
    ],
    ("adapters/config.py", "adapters/test_attachment.py"): [
        ("randomized-smallest-accepted", 'if self.init == "minor" and self.svd == "randomized":', "if False:"),
    ],
    ("study/plan/testbed_profiles.py", "cli/test_cli_starts.py"): [
        ("no-rate-of-its-own", '"nlu": {"standard": 4e-3, "pissa": 2e-3, "random-matched": 4e-3, "minor": 4e-3,', '"nlu": {"standard": 4e-3, "pissa": 2e-3, "random-matched": 4e-3,'),
    ],
    ("adapters/stored_adapter.py", "hostile/test_adapter_folders.py"): [
        ("missing-are-passed", "_refuse_missing(name for name in result.missing_keys if LORA in name)", "pass"),
        ("unused-are-passed", "_refuse_unused(strangers.union(result.unexpected_keys))", "_refuse_unused(strangers)"),
        ("base-is-overwritten", "_refuse_unused(strangers.union(result.unexpected_keys))", "_refuse_unused(result.unexpected_keys)"),
    ],
    ("adapters/load_guards.py", "hostile/test_loads_into_attached.py"): [
        ("half-is-loaded", "if missing and mine & given:", "if False:"),
        ("strangers-are-dropped", "    if strangers:", "    if False:"),
    ],
    ("adapters/layer_patterns.py", "hostile/test_layer_expressions.py"): [
        ("lookahead-inverted", "(kind is op.ASSERT)", "(kind is op.ASSERT_NOT)"),
        ("nested-repeats-run", "return int(value[1]) > 1 or", "return False and"),
    ],
    ("adapters/factor_cache.py", "adapters/test_factor_cache.py"): [
        ("key-without-method", '"method": method,\n        "random state": _digest(generator.get_state()) if method == "randomized" else "",', ""),
        ("key-without-rank", '"rank": rank,', ""),
        ("key-without-shape", '"shape": "×".join(map(str, weight.shape)),', ""),
        ("key-without-dtype", '"dtype": str(weight.dtype),', ""),
        ("key-without-the-weight", '"weight": _digest(weight),', ""),
        ("key-without-version", '"version": MINOR_VERSION if method == "minor" else VERSION,', ""),
        ("one-version-for-both", 'MINOR_VERSION if method == "minor" else VERSION', "VERSION"),
        ("both-ends-under-one-name", '"method": method,', '"method": "exact" if method == "minor" else method,'),
        ("another-name-for-pissas", '"method": method,', '"method": method, "start": "pissa",'),
        ("largest-for-smallest", '    if method == "minor":\n        return minor', '    if False:\n        return minor'),
        ("key-without-seed", '_digest(generator.get_state()) if method == "randomized" else ""', '""'),
        ("key-with-a-seed-nobody-needs", 'if method == "randomized" else ""', ""),
        ("ranks-not-shared", "max(rank, min(largest_rank(), *weight.shape))", "rank"),
        ("rank-beyond-the-weight", "min(largest_rank(), *weight.shape)", "largest_rank()"),
        ("randomized-is-cut", 'rank if method == "randomized" else ', ""),
        ("smallest-are-not-shared", 'rank if method == "randomized" else', 'rank if method != "exact" else'),
        ("not-cut", "part_of(cached, rank, scaling)", "part_of(cached, whole, scaling)"),
        ("scaling-ignored", "part_of(cached, rank, scaling)", "part_of(cached, rank)"),
        ("scaling-is-kept", "_computed(weight, whole, 1.0,", "_computed(weight, whole, scaling,"),
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
        ("written-in-place", 'path.with_name(f"{PARTIAL}{os.fsdecode(os.fsencode(path.name)[:100])}-{unique}")', "path"),
        ("never-flushed", "        if durable:\n            file.flush()", "        if False:\n            file.flush()"),
        ("others-work-removed", "path.lstat().st_mtime > seconds", "path.lstat().st_mtime > -seconds"),
        ("stale-folders-stay", "if path.is_dir() and not path.is_symlink():", "if False:"),
    ],
    ("folders.py", "hostile/test_partial_remains.py"): [
        ("links-are-followed", "if path.is_dir() and not path.is_symlink():", "if path.is_dir():"),
        ("live-work-goes", "is_alive(mark) is False", "is_alive(mark) is not None"),
        ("work-elsewhere-goes", "mark is not None and is_alive(mark) is False", "mark is not None and not is_alive(mark)"),
        ("dead-work-stays", "    remove_dead(folder)\n", "    pass\n"),
    ],
    ("processes.py", "hostile/test_partial_remains.py"): [
        ("numbers-count-everywhere", 'if mark.place == "unknown" or mark.place != _place():', "if False:"),
        ("numbers-come-once", "mark.start in (0, status[1])", "True"),
        ("what-has-ended-lives", "status[0] not in ENDED and ", ""),
        ("what-others-own-is-dead", "    except OSError:  # somebody else's process\n        return True", "    except OSError:\n        return False"),
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
