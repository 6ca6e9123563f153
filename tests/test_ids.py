from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from freezegun import freeze_time

from ibctl import clock, ids

# Prisma's own ids, of `@default(cuid())`, have this form.
CUID = re.compile(r"c[0-9a-z]{24}")


def test_an_id_is_a_cuid() -> None:
    for new in [ids.cuid(), *ids.cuids(2000)]:
        assert CUID.fullmatch(new), new


def test_an_id_begins_with_its_millisecond() -> None:
    with freeze_time("2025-10-28 12:34:56.750"):
        assert int(ids.cuid()[1:9], 36) == 1_761_654_896_750
        assert {int(new[1:9], 36) for new in ids.cuids(3)} == {1_761_654_896_750}


def test_later_ids_sort_later() -> None:
    made = []
    for _ in range(5):
        made += [ids.cuid(), *ids.cuids(3)]
        time.sleep(0.002)
    assert made == sorted(made)


def test_the_counter_starts_again_when_its_four_characters_are_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_counter", iter([36**4 - 1, 36**4, 36**4 + 1]))
    assert [new[9:13] for new in ids.cuids(3)] == ["zzzz", "0000", "0001"]


@pytest.mark.parametrize("count", [0, 1, 7, 100_000])
def test_as_many_ids_come_as_were_asked_for(count: int) -> None:
    assert len(set(ids.cuids(count))) == count


def test_the_random_part_uses_every_character_alike() -> None:
    text = "".join(new[17:] for new in ids.cuids(45_000))  # 10,000 of each are expected
    counts = [text.count(character) for character in ids.ALPHABET]
    assert sum(counts) == 360_000
    # Six standard deviations; a modulo of a byte would put four characters 14 % too high.
    assert all(abs(count - 10_000) < 600 for count in counts), counts


def test_threads_never_get_the_same_id() -> None:
    def batch(_: int) -> list[str]:
        return [ids.cuid() for _ in range(2000)] + list(ids.cuids(2000))

    with ThreadPoolExecutor(8) as pool:
        made = [new for part in pool.map(batch, range(8)) for new in part]
    assert len(set(made)) == len(made) == 32_000
    # Even without their random part, within one process.
    assert len({new[:17] for new in made}) == len(made)


@pytest.fixture(params=sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
def pool(request: pytest.FixtureRequest) -> Iterator[multiprocessing.pool.Pool]:
    ids.cuid()  # a forked child inherits the counter and the cached fingerprint
    with multiprocessing.get_context(request.param).Pool(4) as workers:
        yield workers


# Forking from a process with threads is what is tested here, and Python 3.12 warns of it.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_processes_never_get_the_same_id(pool: multiprocessing.pool.Pool) -> None:
    made = [new for part in pool.map(ids_of_a_process, [5000] * 4, chunksize=1) for new in part]
    made += ids_of_a_process(5000)
    assert len(set(made)) == len(made) == 25_000


def ids_of_a_process(count: int) -> list[str]:
    return list(ids.cuids(count))


def test_a_forked_process_has_a_fingerprint_of_its_own() -> None:
    assert ids._fingerprint(1234)[:2] != ids._fingerprint(1235)[:2]
    assert ids._fingerprint(1234)[2:] == ids._fingerprint(1235)[2:]


def test_now_is_naive_utc_cut_to_milliseconds() -> None:
    with freeze_time("2025-03-30 01:30:00.123999"):
        assert clock.now() == datetime(2025, 3, 30, 1, 30, 0, 123_000)
