#!/usr/bin/python3
"""The figures of the benchmarks beside what DESIGN.md 10 wants held: table.py FILE."""
import json
import sys


def rows(figures):
    for one in figures:
        kind = one.get("bench")
        if kind == "sweep":
            yield (f"sweep of 32 mixed meters, 9600 baud, {one['transport']}",
                   f"{one['of_the_floor'] * 100:.1f} % of the floor ({one['sweep_ms']:.0f} ms)",
                   ">= 95 %", one["of_the_floor"] >= 0.95)  # fmt: skip
        if kind == "dead" and "healthy_sweep_grows_percent" in one:
            yield ("10 of 32 dead: healthy sweep grows",
                   f"{one['healthy_sweep_grows_percent']:.1f} %", "<= 5 %",
                   one["healthy_sweep_grows_percent"] <= 5)  # fmt: skip
        if kind == "poll" and one.get("daemon_to") == "collectd":
            yield ("processor time of a poll of 8 values, to collectd's",
                   f"{one['ratio']:.2f}", "<= 0.68", one["ratio"] <= 0.68)  # fmt: skip
        if kind == "poll" and one.get("daemon_to") == "floor":
            yield ("the same, to a bare read and publish", f"{one['ratio']:.2f}", "", True)
        if kind in ("poll", "floor", "collectd") and "processor_us_per_poll" in one:
            yield (f"  {kind} {one.get('profile', '')}".rstrip(),
                   f"{one['processor_us_per_poll']:.0f} us", "", True)  # fmt: skip
        if kind == "month":
            hold = one["what"].startswith("longest hold")
            yield (f"month close of 2,000 households: {one['what']}",
                   f"{one['value']:.1f} {one['unit']}", "<= 50 ms" if hold else "",
                   not hold or one["value"] <= 50)  # fmt: skip
        if kind == "export":
            yield (f"{one['rows']:,} interval readings as CSV, to sqlite3 -csv",
                   f"{one['ratio']:.2f} ({one['daemon_s']:.1f} of {one['sqlite_s']:.1f} s)",
                   "<= 2", one["ratio"] <= 2)  # fmt: skip
            yield ("  memory it took", f"{one['grown_kib'] / 1024:.1f} MiB", "", True)
        if kind == "load":
            yield (f"50 readers and 8 writers beside {one['meters']} meters",
                   f"{one['a_second']} answers a second, p99 {one['read_ms_p99']:.0f} and "
                   f"{one['write_ms_p99']:.0f} ms", "", True)  # fmt: skip
            yield ("  alert from its request to a subscriber",
                   f"p50 {one['alert_ms_p50']:.0f} ms, p99 {one['alert_ms_p99']:.0f} ms", "", True)
            yield ("  meters that missed a turn", str(one["late_meters"]), "0",
                   one["late_meters"] == 0)  # fmt: skip
            grown = one["memory_kib_end"] - one["memory_kib_after_a_third"]
            yield ("  memory from a third of the time to the end", f"{grown / 1024:+.1f} MiB", "",
                   True)  # fmt: skip
        if kind == "login":
            yield ("one log-in", f"{one['alone_ms_p50']} ms, ten at once at most "
                   f"{one['together_ms_max']} ms", "", True)  # fmt: skip
            yield ("  memory while they are checked",
                   f"+{one['peak_above_kib'] / 1024:.1f} MiB, then +{one['left_kib'] / 1024:.1f}",
                   "", True)  # fmt: skip
        if kind == "memory":
            yield (f"resident memory, {one['meters']} meters on {one['buses']} buses",
                   f"{one['steady_kib'] / 1024:.1f} MiB (peak {one['peak_kib'] / 1024:.1f})",
                   "<= 64 MiB", one["steady_kib"] <= 64 * 1024)  # fmt: skip


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        figures = [json.loads(line) for line in file if line.startswith("{")]
    print()
    for what, value, wanted, held in rows(figures):
        print(f"{what:56} {value:36} {wanted:10} {'' if held else 'MISSED'}".rstrip())


if __name__ == "__main__":
    main()
